// The Go client at the same work.
//
//	push                                  what a start takes: a registry with the agent's metrics of mutations is made
//	push BASE_URL JOB INSTANCE FOLDER     a rival of benches/push/rival.rs
package main

import (
	"bufio"
	"encoding/json"
	"log"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/push"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
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

// families are the very metrics that the agent pushes.
func families(folder string) (prometheus.GathererFunc, error) {
	file, err := os.Open(filepath.Join(folder, "body.text"))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var parser expfmt.TextParser
	byName, err := parser.TextToMetricFamilies(file)
	if err != nil {
		return nil, err
	}
	var all []*dto.MetricFamily
	for _, family := range byName {
		all = append(all, family)
	}
	return func() ([]*dto.MetricFamily, error) { return all, nil }, nil
}

func rival(base, job, instance, folder string) error {
	gatherer, err := families(folder)
	if err != nil {
		return err
	}
	pusher := push.New(base, job).Grouping("instance", instance).Gatherer(gatherer)
	turns, answers := bufio.NewScanner(os.Stdin), json.NewEncoder(os.Stdout)
	for turns.Scan() {
		count, err := strconv.Atoi(turns.Text())
		if err != nil {
			return err
		}
		taken := make([]int64, count)
		for at := range taken {
			began := time.Now()
			if err := pusher.Push(); err != nil {
				return err
			}
			taken[at] = time.Since(began).Nanoseconds()
		}
		if err := answers.Encode(taken); err != nil {
			return err
		}
	}
	return turns.Err()
}

func main() {
	if len(os.Args) != 5 {
		push.New("http://127.0.0.1:9091", "exit_evolution").Grouping("instance", "go").Gatherer(registry())
		return
	}
	if err := rival(os.Args[1], os.Args[2], os.Args[3], os.Args[4]); err != nil {
		log.Fatal(err)
	}
}
