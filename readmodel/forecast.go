package readmodel

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

const (
	forecastDraws = 10_000
	// forecastDays bounds a future: what takes longer than ten years is not told.
	forecastDays = 3650
	// forecastLeast is on how many days something must have been done: from fewer
	// a draw of days says nothing.
	forecastLeast = 5
)

// forecast simulates the future from what was done on each day of the sample. by is
// one more day, counted from today, for which it tells how many are done; 0 = none.
func forecast(sample []int64, items int64, by int, seed uint64, today time.Time) FlowForecast {
	f := FlowForecast{Seed: seed, Draws: forecastDraws, SampleDays: int64(len(sample)), Items: items}
	total := int64(0)
	for _, n := range sample {
		total += n
		if n > 0 {
			f.DoneDays++
		}
	}
	if len(sample) > 0 {
		f.PerDay = float64(total) / float64(len(sample))
	}
	if f.DoneDays < forecastLeast {
		f.Reason = fmt.Sprintf("Too little history: something was done on %d of the %d whole days in the range; a forecast needs %d such days. Take a longer range.",
			f.DoneDays, f.SampleDays, forecastLeast)
		return f
	}
	days := make([]int, forecastDraws)
	sums := [4][]int64{}
	within := [4]int{7, 14, 30, by}
	for i := range sums {
		sums[i] = make([]int64, forecastDraws)
	}
	n, last := uint64(len(sample)), max(within[2], by)
	for i := range forecastDraws {
		// Each future has a source of its own, so that it is the same however long
		// it is looked at.
		source := rand.NewPCG(seed, uint64(i))
		sum, bits, took := int64(0), uint64(0), -1
		if items <= 0 {
			took = 0
		}
		for day := 1; day <= forecastDays && (took < 0 || day <= last); day++ {
			// Two draws from each number: its halves, scaled to the sample.
			if day%2 == 1 {
				bits = source.Uint64()
			} else {
				bits <<= 32
			}
			sum += sample[(bits>>32)*n>>32]
			if took < 0 && sum >= items {
				took = day
			}
			for k, d := range within {
				if day == d {
					sums[k][i] = sum
				}
			}
		}
		if took < 0 {
			took = forecastDays + 1
		}
		days[i] = took
	}
	slices.Sort(days)
	rank := func(p float64) int { return int(math.Ceil(p*forecastDraws)) - 1 }
	date := func(p float64) *string {
		d := days[rank(p)]
		if d > forecastDays {
			return nil
		}
		text := today.UTC().AddDate(0, 0, d).Format(time.DateOnly)
		return &text
	}
	f.When = &FlowWhen{P50: date(.5), P85: date(.85), P95: date(.95)}
	atLeast := func(k int) FlowAtLeast {
		slices.Sort(sums[k])
		at := func(p float64) int64 { return sums[k][forecastDraws-1-rank(p)] }
		return FlowAtLeast{P50: at(.5), P85: at(.85), P95: at(.95)}
	}
	f.HowMany = &FlowHowMany{Days7: atLeast(0), Days14: atLeast(1), Days30: atLeast(2)}
	if by > 0 {
		f.By = &FlowBy{Date: today.UTC().AddDate(0, 0, by).Format(time.DateOnly), Days: by, FlowAtLeast: atLeast(3)}
	}
	return f
}
