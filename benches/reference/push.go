// The Go client at the same work: a registry with the agent's metrics of mutations, pushed to a Pushgateway.
//
//	push                what a start takes: everything is made, nothing is sent
//	push URL COUNT      pushes so often; prints the nanoseconds of each as JSON
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/push"
)

var buckets = []float64{1e-6, 2.5e-6, 5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 0.01, 0.025,
	0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0}

func registry() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	total := prometheus.NewCounter(prometheus.CounterOpts{Name: "exit_mutations_total", Help: "Mutation attempts."})
	success := prometheus.NewCounter(prometheus.CounterOpts{Name: "exit_mutations_success", Help: "Successes."})
	rate := prometheus.NewGauge(prometheus.GaugeOpts{Name: "exit_mutation_success_rate", Help: "Successes per attempt."})
	duration := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "exit_mutation_duration_seconds", Help: "Of one mutation.", Buckets: buckets})
	outcomes := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "exit_mutation_outcomes_total", Help: "By what became of them."},
		[]string{"parameter", "operator", "outcome"})
	registry.MustRegister(total, success, rate, duration, outcomes)
	for _, parameter := range []string{"stop_loss_pct", "take_profit_pct", "trailing_stop_offset", "holding_period_days"} {
		for _, outcome := range []string{"success", "no_change", "duplicate", "constraint_violated", "invalid_source",
			"evaluator_failed", "evaluator_timeout", "evaluator_output_invalid"} {
			outcomes.WithLabelValues(parameter, "lognormal", outcome).Add(100)
		}
	}
	for at := 0; at < 3200; at++ {
		total.Inc()
		success.Inc()
		duration.Observe(float64(at) * 1e-6)
	}
	rate.Set(1)
	return registry
}

func main() {
	url := "http://127.0.0.1:9091"
	if len(os.Args) == 3 {
		url = os.Args[1]
	}
	pusher := push.New(url, "exit_evolution").Grouping("instance", "go").Gatherer(registry())
	if len(os.Args) != 3 {
		return
	}
	count, err := strconv.Atoi(os.Args[2])
	if err != nil {
		panic(err)
	}
	taken := make([]int64, count)
	for at := range taken {
		began := time.Now()
		if err := pusher.Push(); err != nil {
			panic(err)
		}
		taken[at] = time.Since(began).Nanoseconds()
	}
	text, err := json.Marshal(taken)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(text))
}
