//go:build !race

package shared

const addresses = 1_000_000
