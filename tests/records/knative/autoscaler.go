// Prints what Knative's autoscaler wants of loads from its standard input: {"name": [concurrency of each second, …], …}.
//
// To make autoscaler.json anew: put this into cmd/record of a checkout of knative.dev/serving, and `go run -mod=vendor ./cmd/record`.
// `Plain` is without its panic mode and its limits of how fast it scales, `Usual` with those that it has by default.
package main

import (
	"encoding/json"
	"os"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric/noop"
	"go.uber.org/zap"
	"k8s.io/apimachinery/pkg/types"

	"knative.dev/serving/pkg/autoscaler/aggregation"
	"knative.dev/serving/pkg/autoscaler/scaling"
)

type client struct{ stable, panicky *aggregation.TimedFloat64Buckets }

func (c client) StableAndPanicConcurrency(_ types.NamespacedName, now time.Time) (float64, float64, error) {
	return c.stable.WindowAverage(now), c.panicky.WindowAverage(now), nil
}

func (c client) StableAndPanicRPS(key types.NamespacedName, now time.Time) (float64, float64, error) {
	return c.StableAndPanicConcurrency(key, now)
}

type counter struct{ ready int }

func (c *counter) ReadyCount() (int, error)    { return c.ready, nil }
func (c *counter) NotReadyCount() (int, error) { return 0, nil }

type decision struct {
	At      int     `json:"at"`
	Average float64 `json:"average"`
	Plain   int32   `json:"plain"`
	Usual   int32   `json:"usual"`
}

func decisions(load []float64, threshold, up, down float64) []decision {
	c := client{aggregation.NewTimedFloat64Buckets(time.Minute, time.Second), aggregation.NewTimedFloat64Buckets(6*time.Second, time.Second)}
	pods := &counter{}
	spec := &scaling.DeciderSpec{
		ScalingMetric: "concurrency", TargetValue: 6, TotalValue: 10, TargetBurstCapacity: 0, Reachable: true,
		PanicThreshold: threshold, StableWindow: time.Minute, MaxScaleUpRate: up, MaxScaleDownRate: down,
	}
	scaler := scaling.New(attribute.NewSet(), noop.NewMeterProvider(), "n", "r", c, pods, spec)
	start := time.Unix(1_800_000_000, 0)
	var found []decision
	for second, value := range load {
		at := start.Add(time.Duration(second) * time.Second)
		c.stable.Record(at, value)
		c.panicky.Record(at, value)
		if (second+1)%5 == 0 {
			result := scaler.Scale(zap.NewNop().Sugar(), at)
			pods.ready = int(result.DesiredPodCount)
			found = append(found, decision{At: second + 1, Average: c.stable.WindowAverage(at), Plain: result.DesiredPodCount})
		}
	}
	return found
}

func main() {
	loads := map[string][]float64{}
	if err := json.NewDecoder(os.Stdin).Decode(&loads); err != nil {
		panic(err)
	}
	all := map[string][]decision{}
	for name, load := range loads {
		found := decisions(load, 1000, 1000, 1000)
		for number, usual := range decisions(load, 2, 1000, 2) {
			found[number].Usual = usual.Plain
		}
		all[name] = found
	}
	json.NewEncoder(os.Stdout).Encode(all)
}
