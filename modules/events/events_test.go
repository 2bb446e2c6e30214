package events

import (
	"strconv"
	"testing"
	"time"

	"github.com/moby/moby/api/types/events"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/pouchfx/pouchfx/modules/filters"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// epoch is before all that these tests publish.
var epoch = time.Unix(1, 0)

func TestPublishFillsScopeAndTimeAndCopiesAttributes(t *testing.T) {
	bus := New()
	_, live, cancel := bus.Subscribe(time.Time{}, time.Time{})
	defer cancel()
	attributes := map[string]string{"name": "web"}
	bus.Container(events.ActionStart, "c1", attributes)
	attributes["name"] = "changed"

	m := <-live
	assert.Equal(t, events.ContainerEventType, m.Type)
	assert.Equal(t, events.ActionStart, m.Action)
	assert.Equal(t, "local", m.Scope)
	assert.Equal(t, map[string]string{"name": "web"}, m.Actor.Attributes)
	assert.InDelta(t, time.Now().UnixNano(), m.TimeNano, float64(time.Minute))
	assert.Equal(t, m.TimeNano/1e9, m.Time)
}

func TestPastIsBetweenSinceAndUntilInOrder(t *testing.T) {
	bus := New()
	for i := range 5 {
		bus.Publish(events.Message{Actor: events.Actor{ID: strconv.Itoa(i)}, Time: int64(10 + i), TimeNano: int64(10+i) * 1e9})
	}
	for name, tc := range map[string]struct {
		since, until time.Time
		want         []string
	}{
		"no since":        {want: nil},
		"all":             {since: epoch, want: []string{"0", "1", "2", "3", "4"}},
		"since":           {since: time.Unix(13, 0), want: []string{"3", "4"}},
		"both, inclusive": {since: time.Unix(11, 0), until: time.Unix(12, 0), want: []string{"1", "2"}},
	} {
		t.Run(name, func(t *testing.T) {
			past, _, cancel := bus.Subscribe(tc.since, tc.until)
			defer cancel()
			assert.Equal(t, tc.want, ids(past))
		})
	}
}

func TestHistoryKeepsTheNewest(t *testing.T) {
	bus := New()
	for i := range historySize + 10 {
		bus.Volume(events.ActionCreate, strconv.Itoa(i), nil)
	}
	past, _, cancel := bus.Subscribe(epoch, time.Time{})
	defer cancel()
	require.Len(t, past, historySize)
	assert.Equal(t, "10", past[0].Actor.ID)
	assert.Equal(t, strconv.Itoa(historySize+9), past[historySize-1].Actor.ID)
}

func TestNoEventIsLostOrDoubledBetweenPastAndLive(t *testing.T) {
	bus := New()
	const total = 500
	published := make(chan struct{})
	go func() {
		defer close(published)
		for i := range total {
			bus.Image(events.ActionPull, strconv.Itoa(i), nil)
		}
	}()
	past, live, cancel := bus.Subscribe(epoch, time.Time{})
	<-published
	cancel()
	got := past
	for m := range live {
		got = append(got, m)
	}
	require.Len(t, got, total)
	for i, m := range got {
		assert.Equal(t, strconv.Itoa(i), m.Actor.ID)
	}
}

func TestASlowSubscriberIsCutOffAndTheOthersAreNot(t *testing.T) {
	bus := New()
	_, slow, cancel := bus.Subscribe(time.Time{}, time.Time{})
	defer cancel()
	_, quick, cancelQuick := bus.Subscribe(time.Time{}, time.Time{})
	defer cancelQuick()
	for i := range queueSize + 1 {
		bus.Container(events.ActionStart, strconv.Itoa(i), nil)
		<-quick
	}
	count := 0
	for range slow {
		count++
	}
	assert.Equal(t, queueSize, count, "what was queued is delivered, then the channel is closed")
	bus.Container(events.ActionDie, "last", nil)
	assert.Equal(t, "last", (<-quick).Actor.ID)
}

func TestUntilEndsTheSubscription(t *testing.T) {
	bus := New()
	_, live, cancel := bus.Subscribe(epoch, time.Now().Add(-time.Second))
	_, open := <-live
	assert.False(t, open, "until in the past")
	cancel()

	_, live, cancel = bus.Subscribe(epoch, time.Now().Add(20*time.Millisecond))
	_, open = <-live
	assert.False(t, open, "until comes")
	cancel()
	cancel()
	assert.Empty(t, bus.subscribers)
}

func TestMatches(t *testing.T) {
	start := events.Message{
		Type: events.ContainerEventType, Action: events.ActionStart, Scope: "local",
		Actor: events.Actor{ID: "abcdef", Attributes: map[string]string{"name": "web", "image": "busybox:1", "team": "a"}},
	}
	exec := events.Message{Type: events.ContainerEventType, Action: "exec_create: sh -c x", Actor: events.Actor{ID: "abcdef"}}
	pull := events.Message{Type: events.ImageEventType, Action: events.ActionPull, Actor: events.Actor{ID: "busybox:1", Attributes: map[string]string{"name": "busybox"}}}
	volume := events.Message{Type: events.VolumeEventType, Action: events.ActionCreate, Actor: events.Actor{ID: "data"}}
	for _, tc := range []struct {
		filters string
		message events.Message
		want    bool
	}{
		{`{}`, start, true},
		{`{"type":["container"]}`, start, true},
		{`{"type":["image"]}`, start, false},
		{`{"type":["image","container"],"event":["start"]}`, start, true},
		{`{"event":["stop"]}`, start, false},
		{`{"event":["exec_create"]}`, exec, true},
		{`{"event":["exec_start"]}`, exec, false},
		{`{"container":["web"]}`, start, true},
		{`{"container":["abc"]}`, start, true},
		{`{"container":["we"]}`, start, false},
		{`{"container":["web"]}`, volume, false},
		{`{"volume":["data"]}`, volume, true},
		{`{"image":["busybox"]}`, start, true},
		{`{"image":["busybox:1"]}`, start, true},
		{`{"image":["busybox:1"]}`, pull, true},
		{`{"image":["alpine"]}`, pull, false},
		{`{"image":["busybox"]}`, volume, false},
		{`{"label":["team=a"]}`, start, true},
		{`{"label":["team=b"]}`, start, false},
		{`{"scope":["swarm"]}`, start, false},
	} {
		args, err := filters.Parse(tc.filters)
		require.NoError(t, err)
		require.NoError(t, args.Validate(FilterKeys...))
		assert.Equal(t, tc.want, Matches(args, tc.message), "%s on %s %s", tc.filters, tc.message.Type, tc.message.Action)
	}
}

func ids(messages []events.Message) []string {
	var all []string
	for _, m := range messages {
		all = append(all, m.Actor.ID)
	}
	return all
}
