//go:build race

package shared

// addresses are fewer under the race detector, which makes each some fifty times
// as dear.
const addresses = 60_000
