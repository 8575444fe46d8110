package metrics

import (
	"fmt"
	"maps"
	"slices"

	"github.com/prometheus/client_golang/prometheus"
)

// Gauge adds a value that may go up and down and is asked for at every scrape;
// false = not known now, and then it is not on the page. The name begins with
// kanban_ and ends with its unit. It fails where the name is taken.
func (m *Metrics) Gauge(name, help string, value func() (float64, bool)) error {
	return m.extend(maybe(name, help, func(struct{}) (float64, bool) { return value() }))
}

// Gauges is Gauge for several values, told apart by one label whose values are
// few and never ids.
func (m *Metrics) Gauges(name, help, label string, values func() map[string]float64) error {
	return m.extend(labelled(name, help, label, func(struct{}) map[string]float64 { return values() }))
}

func (m *Metrics) extend(p part[struct{}]) error {
	if err := add(m.registry, func() struct{} { return struct{}{} }, p); err != nil {
		return fmt.Errorf("add metric %s: %w", p.name, err)
	}
	return nil
}

// part is one metric of an answer A: its values by label.
type part[A any] struct {
	name, help, label string
	kind              prometheus.ValueType
	values            func(A) map[string]float64
}

func gauge[A any](name, help string, value func(A) float64) part[A] {
	return part[A]{name, help, "", prometheus.GaugeValue, func(a A) map[string]float64 { return map[string]float64{"": value(a)} }}
}

func counter[A any](name, help string, value func(A) float64) part[A] {
	p := gauge(name, help, value)
	p.kind = prometheus.CounterValue
	return p
}

// maybe is a gauge that may be unknown.
func maybe[A any](name, help string, value func(A) (float64, bool)) part[A] {
	return part[A]{name, help, "", prometheus.GaugeValue, func(a A) map[string]float64 {
		v, ok := value(a)
		if !ok {
			return nil
		}
		return map[string]float64{"": v}
	}}
}

func size[A any](name, help string, value func(A) int64) part[A] {
	return maybe(name, help, func(a A) (float64, bool) {
		n := value(a)
		return float64(n), n >= 0
	})
}

func labelled[A any](name, help, label string, values func(A) map[string]float64) part[A] {
	return part[A]{name, help, label, prometheus.GaugeValue, values}
}

// answers asks once a scrape and makes metrics of the answer.
type answers[A any] struct {
	ask   func() A
	parts []part[A]
	descs []*prometheus.Desc
}

var _ prometheus.Collector = (*answers[int])(nil)

// add registers what is made of the answers of ask; nil = nothing.
func add[A any](to *prometheus.Registry, ask func() A, parts ...part[A]) error {
	if ask == nil {
		return nil
	}
	c := &answers[A]{ask: ask, parts: parts}
	for _, p := range parts {
		var labels []string
		if p.label != "" {
			labels = []string{p.label}
		}
		c.descs = append(c.descs, prometheus.NewDesc(p.name, p.help, labels, nil))
	}
	return to.Register(c)
}

// Describe implements prometheus.Collector.
func (c *answers[A]) Describe(to chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (c *answers[A]) Collect(to chan<- prometheus.Metric) {
	answer := c.ask()
	for i, p := range c.parts {
		values := p.values(answer)
		for _, label := range slices.Sorted(maps.Keys(values)) {
			var labels []string
			if p.label != "" {
				labels = []string{label}
			}
			m, err := prometheus.NewConstMetric(c.descs[i], p.kind, values[label], labels...)
			if err != nil {
				m = prometheus.NewInvalidMetric(c.descs[i], err)
			}
			to <- m
		}
	}
}
