package webhook

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/agent-kanban/agent-kanban/events"
)

// maxURL bounds an address, in bytes.
const maxURL = 2000

// Allow are the targets that may be private or reached without TLS. The zero
// value allows none.
type Allow struct {
	hosts    map[string]bool // "hooks.internal", or "hooks.internal:8080" for that port alone
	networks []netip.Prefix
}

// ParseAllow reads a list of hosts, host:port and CIDRs. A single address is a
// network of one. The error names every item that is none of these.
func ParseAllow(items []string) (Allow, error) {
	a := Allow{hosts: map[string]bool{}}
	var errs []error
	for _, item := range items {
		text := strings.ToLower(strings.TrimSpace(item))
		if network, err := netip.ParsePrefix(text); err == nil {
			a.networks = append(a.networks, network.Masked())
			continue
		}
		if addr, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil {
			addr = addr.Unmap()
			a.networks = append(a.networks, netip.PrefixFrom(addr, addr.BitLen()))
			continue
		}
		host, port, err := net.SplitHostPort(text)
		if err != nil {
			host, port = text, ""
		}
		_, notAddr := netip.ParseAddr(host)
		if host == "" || strings.ContainsAny(host, " /:@*") && notAddr != nil || port != "" && !validPort(port) {
			errs = append(errs, fmt.Errorf("%q is neither a host, a host:port nor a network like 10.0.0.0/8", item))
			continue
		}
		a.hosts[canonical(host, port)] = true
	}
	return a, errors.Join(errs...)
}

func canonical(host, port string) string {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	if addr, err := netip.ParseAddr(host); err == nil {
		host = addr.Unmap().String()
	}
	if port == "" {
		return host
	}
	return net.JoinHostPort(host, port)
}

func validPort(port string) bool {
	n, err := strconv.Atoi(port)
	return err == nil && n >= 1 && n <= 65535
}

// named reports whether the target is on the list as it is written in the URL,
// before any name is resolved.
func (a Allow) named(host, port string) bool {
	if addr, err := netip.ParseAddr(host); err == nil && a.network(addr) {
		return true
	}
	return a.hosts[canonical(host, "")] || a.hosts[canonical(host, port)]
}

func (a Allow) network(addr netip.Addr) bool {
	addr = addr.Unmap().WithZone("")
	return slices.ContainsFunc(a.networks, func(n netip.Prefix) bool { return n.Contains(addr) })
}

// Check refuses an address that no event may go to, as far as that can be seen
// without resolving its name, and returns its host for the events about it. The
// refusal is an *events.Error that does not repeat the address.
func (a Allow) Check(address string) (host string, err error) {
	refuse := func(format string, args ...any) (string, error) {
		reason := fmt.Sprintf(format, args...)
		return "", &events.Error{Code: events.CodeInvalid, Message: "The url " + reason + ".", Fields: map[string]string{"url": reason}}
	}
	u, err := url.Parse(address)
	switch {
	case len(address) > maxURL:
		return refuse("must be at most %d bytes", maxURL)
	case err != nil || u.Opaque != "" || u.Hostname() == "":
		return refuse("must be an absolute address like https://hooks.example/kanban")
	case u.User != nil:
		return refuse("must have no user name or password; a key belongs in its path or query")
	case u.Fragment != "":
		return refuse("must have no fragment")
	case u.Port() != "" && !validPort(u.Port()) || strings.HasSuffix(u.Host, ":"):
		return refuse("has a port that cannot be")
	}
	if err := a.checkTarget(u); err != nil {
		return refuse("%s", err.Error())
	}
	return strings.ToLower(u.Host), nil
}

// checkTarget is what Check asks about scheme and host; it is asked again at
// each attempt, because the list may have changed.
func (a Allow) checkTarget(u *url.URL) error {
	named := a.named(u.Hostname(), portOf(u))
	switch {
	case u.Scheme != "https" && u.Scheme != "http":
		return errors.New("must start with https://")
	case u.Scheme == "http" && !named:
		return errors.New("must start with https://; the operator can allow plain http to a host with WEBHOOK_ALLOW")
	}
	if addr, err := netip.ParseAddr(u.Hostname()); err == nil && !named && !public(addr) {
		return errPrivate
	}
	return nil
}

var errPrivate = errors.New("leads to a private address; the operator can allow that with WEBHOOK_ALLOW")

func portOf(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "http":
		return "80"
	default:
		return "443"
	}
}

// public reports whether anybody on the internet may be at the address. It is a
// list of what is, for IPv6, and of what is not, for IPv4, after the IANA
// registries of special-purpose addresses.
func public(addr netip.Addr) bool {
	addr = addr.WithZone("").Unmap()
	if addr.Is4() {
		return !contains(special4, addr)
	}
	b := addr.As16()
	switch {
	case nat64.Contains(addr): // a translator takes it to the IPv4 address inside
		return public(netip.AddrFrom4([4]byte(b[12:16])))
	case sixToFour.Contains(addr):
		return public(netip.AddrFrom4([4]byte(b[2:6])))
	default:
		return global6.Contains(addr) && !contains(special6, addr)
	}
}

func contains(list []netip.Prefix, addr netip.Addr) bool {
	return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Contains(addr) })
}

var (
	nat64     = netip.MustParsePrefix("64:ff9b::/96")
	sixToFour = netip.MustParsePrefix("2002::/16")
	global6   = netip.MustParsePrefix("2000::/3")
	special6  = prefixes("2001::/23", "2001:db8::/32", "3fff::/20")
	special4  = prefixes(
		"0.0.0.0/8",          // this network
		"10.0.0.0/8",         // private
		"100.64.0.0/10",      // carrier-grade NAT
		"127.0.0.0/8",        // loopback
		"169.254.0.0/16",     // link-local, and the metadata of clouds
		"172.16.0.0/12",      // private
		"192.0.0.0/24",       // protocol assignments
		"192.0.2.0/24",       // documentation
		"192.88.99.0/24",     // 6to4 relays
		"192.168.0.0/16",     // private
		"198.18.0.0/15",      // benchmarks
		"198.51.100.0/24",    // documentation
		"203.0.113.0/24",     // documentation
		"224.0.0.0/4",        // multicast
		"240.0.0.0/4",        // reserved, and broadcast
		"168.63.129.16/32",   // Azure's metadata and DNS
		"100.100.100.200/32", // Alibaba's metadata
	)
)

func prefixes(texts ...string) []netip.Prefix {
	list := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		list[i] = netip.MustParsePrefix(text)
	}
	return list
}
