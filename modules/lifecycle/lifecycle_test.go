package lifecycle_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/pouchfx/pouchfx/modules/lifecycle"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTheTimelineKeepsTheOrderOfEnding(t *testing.T) {
	timeline := lifecycle.NewTimeline()
	timeline.Record(lifecycle.Entry{Phase: lifecycle.Start, Name: "a", Took: time.Hour})
	timeline.Record(lifecycle.Entry{Phase: lifecycle.Stop, Name: "b", Error: "refused"})
	entries := timeline.Entries()
	require.Len(t, entries, 2)
	assert.Equal(t, "a", entries[0].Name)
	assert.Zero(t, entries[0].At, "nothing began before the timeline")

	var all, stops strings.Builder
	require.NoError(t, timeline.Write(&all))
	assert.Equal(t, 2, strings.Count(all.String(), "\n"))
	require.NoError(t, timeline.Write(&stops, lifecycle.Stop))
	assert.Equal(t, 1, strings.Count(stops.String(), "\n"))
	assert.Contains(t, stops.String(), "refused")
}

func TestALabelNamesTheHookThatHasTheContext(t *testing.T) {
	name := new(lifecycle.Name)
	lifecycle.Label(lifecycle.WithLabel(t.Context(), name), "plugin x")
	assert.Equal(t, "plugin x", name.Get())
	lifecycle.Label(context.Background(), "nobody listens")
}

func TestAWatchReportsTheFirstFatalError(t *testing.T) {
	failed, reported := make(chan error, 2), make(chan error, 2)
	w := lifecycle.NewWatch(failed, func(err error) { reported <- err })
	require.NoError(t, w.Start(t.Context()))
	refused := errors.New("refused")
	failed <- refused
	failed <- errors.New("second")
	assert.Equal(t, refused, <-reported)
	require.NoError(t, w.Stop(t.Context()))
	assert.Empty(t, reported)
}

func TestAWatchEndsWithoutAnError(t *testing.T) {
	w := lifecycle.NewWatch(make(chan error), func(error) { t.Error("nothing failed") })
	require.NoError(t, w.Start(t.Context()))
	require.NoError(t, w.Stop(t.Context()))

	closed := make(chan error)
	close(closed)
	w = lifecycle.NewWatch(closed, func(error) { t.Error("a closed channel is no error") })
	require.NoError(t, w.Start(t.Context()))
	require.NoError(t, w.Stop(t.Context()))
}
