package readmodel

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"
)

// The row forms that the projections write and the queries read.

// textTimeLayout is how operators see times: comparable as text.
const textTimeLayout = "2006-01-02 15:04:05.000000"

// FormatTime writes a time as the rows hold it: UTC, microseconds,
// "2006-01-02 15:04:05.000000".
func FormatTime(t time.Time) string {
	// By hand: it runs several times per event, and time.Format costs five times
	// as much.
	t = t.UTC()
	year, month, day := t.Date()
	if year < 0 || year > 9999 {
		return t.Format(textTimeLayout)
	}
	hour, minute, second := t.Clock()
	b := []byte(textTimeLayout)
	digits(b[0:4], year)
	digits(b[5:7], int(month))
	digits(b[8:10], day)
	digits(b[11:13], hour)
	digits(b[14:16], minute)
	digits(b[17:19], second)
	digits(b[20:26], t.Nanosecond()/1000)
	return string(b)
}

func digits(b []byte, n int) {
	for i := len(b) - 1; i >= 0; i-- {
		b[i] = byte('0' + n%10)
		n /= 10
	}
}

// ParseTime reads what FormatTime wrote. The result is UTC.
func ParseTime(text string) (time.Time, error) {
	if len(text) == len(textTimeLayout) {
		year, ok1 := number(text[0:4])
		month, ok2 := number(text[5:7])
		day, ok3 := number(text[8:10])
		hour, ok4 := number(text[11:13])
		minute, ok5 := number(text[14:16])
		second, ok6 := number(text[17:19])
		micro, ok7 := number(text[20:26])
		if ok1 && ok2 && ok3 && ok4 && ok5 && ok6 && ok7 {
			return time.Date(year, time.Month(month), day, hour, minute, second, micro*1000, time.UTC), nil
		}
	}
	t, err := time.Parse(textTimeLayout, text)
	if err != nil {
		return time.Time{}, fmt.Errorf("parse time of a row: %w", err)
	}
	return t, nil
}

func number(text string) (int, bool) {
	n := 0
	for i := range len(text) {
		c := text[i]
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, true
}

// FormatLabels writes labels as the rows hold them: a JSON list, "[]" for none.
func FormatLabels(labels []string) string {
	if len(labels) == 0 {
		return "[]"
	}
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(labels); err != nil { // strings always encode
		return "[]"
	}
	return strings.TrimSuffix(buf.String(), "\n")
}

// ParseLabels reads what FormatLabels wrote; the result is never nil.
func ParseLabels(text string) ([]string, error) { return parseList[string]("labels", text) }

// parseList reads a column that holds a JSON list; the result is never nil.
func parseList[T any](column, text string) ([]T, error) {
	list := []T{}
	if text == "[]" || text == "" { // nearly always
		return list, nil
	}
	return list, parseJSON(column, text, &list)
}

// parseJSON reads a column that holds JSON.
func parseJSON(column, text string, out any) error {
	if err := json.Unmarshal([]byte(text), out); err != nil {
		return fmt.Errorf("parse %s of a row: %w", column, err)
	}
	return nil
}
