package app_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// Each test is a real process; fx.md lists the traps of fx's own run loop
// that they are named for.

const (
	allStarted = "+p1 +p2 +p3 +store +engine +api ready "
	allStopped = "-api -engine -store -p3 -p2 -p1"
)

func TestASignalStopsTheDaemonInOrder(t *testing.T) {
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		t.Run(s.String(), func(t *testing.T) {
			t.Parallel()
			launch(t, "fine").await("ready").signal(s).ends(0, allStarted+allStopped, "stopped")
		})
	}
}

func TestSIGHUPIsIgnored(t *testing.T) {
	t.Parallel()
	launch(t, "fine").await("ready").signal(syscall.SIGHUP).signal(syscall.SIGTERM).
		ends(0, allStarted+allStopped, "signal ignored")
}

func TestTheReaderOfTheLogMayGoAway(t *testing.T) {
	t.Parallel()
	p := prepare(t, "fine")
	reader, writer, err := os.Pipe()
	require.NoError(t, err)
	p.cmd.Stderr = writer
	p.start().await("ready")
	require.NoError(t, reader.Close())
	require.NoError(t, writer.Close())
	p.signal(syscall.SIGTERM).ends(0, allStarted+allStopped)
}

func TestSIGQUITWritesStacksAndStops(t *testing.T) {
	t.Parallel()
	launch(t, "fine").await("ready").signal(syscall.SIGQUIT).
		ends(0, allStarted+allStopped, "app.(*runner).serve(")
}

func TestASignalDuringTheStartStopsWhatHasStarted(t *testing.T) {
	for _, scenario := range []string{"start yields", "start hangs"} {
		t.Run(scenario, func(t *testing.T) {
			t.Parallel()
			launch(t, scenario).await("+engine").signal(syscall.SIGTERM).
				ends(143, "+p1 +p2 +p3 +store +engine -store -p3 -p2 -p1", "told to stop by signal: terminated")
		})
	}
}

func TestASignalDuringAPreStartHookStopsThePluginToo(t *testing.T) {
	t.Parallel()
	launch(t, "PreStart hangs").await("+p2").signal(syscall.SIGINT).
		ends(130, "+p1 +p2 -p2 -p1", `plugin \"p2\": PreStartHook: abandoned: told to stop by signal: interrupt`)
}

func TestASignalWhileTheDaemonIsConstructedStartsNothing(t *testing.T) {
	t.Parallel()
	launch(t, "constructor waits").await("constructing").signal(syscall.SIGTERM).await("told").reply().
		ends(143, "constructing told", "told to stop by signal: terminated")
}

func TestTheSecondSignalExitsAtOnce(t *testing.T) {
	t.Run("while stopping", func(t *testing.T) {
		t.Parallel()
		launch(t, "stop hangs").await("ready").signal(syscall.SIGTERM).await("-engine").signal(syscall.SIGTERM).
			ends(143, allStarted+"-api -engine", "exiting at once")
	})
	t.Run("while constructing", func(t *testing.T) {
		t.Parallel()
		launch(t, "constructor waits").await("constructing").signal(syscall.SIGTERM).await("told").signal(syscall.SIGINT).
			ends(130, "constructing told", "exiting at once")
	})
}

func TestAFailedStartStopsWhatHasStarted(t *testing.T) {
	for scenario, logged := range map[string]string{
		"start refuses":             "app_test.(*component).Start: refused",
		"start panics":              "app_test.(*component).Start: panic: boom",
		"start exits its goroutine": "app_test.(*component).Start: its goroutine exited without returning",
	} {
		t.Run(scenario, func(t *testing.T) {
			t.Parallel()
			launch(t, scenario).ends(1, "+p1 +p2 +p3 +store +engine -store -p3 -p2 -p1", "cannot start", logged)
		})
	}
}

func TestAStartThatHangsIsAbandonedAndTheRestStopped(t *testing.T) {
	t.Parallel()
	launch(t, "start hangs past its timeout").
		ends(1, "+store +engine -store", "app_test.(*component).Start: abandoned: no answer within 50ms")
}

func TestAFailureLateInTheStartStopsAllAndReportsEveryError(t *testing.T) {
	t.Parallel()
	launch(t, "start and stop refuse").ends(1, "+p1 +p2 +p3 +store +engine +api +late "+allStopped,
		"(*component).Start: refused", "(*component).Stop: refused")
}

func TestAStopThatFailsDoesNotKeepTheRestFromStopping(t *testing.T) {
	for scenario, logged := range map[string]string{
		"stop refuses":             "app_test.(*component).Stop: refused",
		"stop panics":              "app_test.(*component).Stop: panic: boom",
		"stop exits its goroutine": "app_test.(*component).Stop: its goroutine exited without returning",
	} {
		t.Run(scenario, func(t *testing.T) {
			t.Parallel()
			launch(t, scenario).await("ready").signal(syscall.SIGTERM).
				ends(1, allStarted+allStopped, "cannot stop in order", logged)
		})
	}
}

func TestAStopThatHangsIsAbandonedAndTheRestStopped(t *testing.T) {
	t.Parallel()
	launch(t, "stop hangs past its timeout").await("ready").signal(syscall.SIGTERM).
		ends(1, "+store +engine +api ready -api -engine -store", "(*component).Stop: abandoned: no answer within 50ms")
}

func TestAPreStartHookThatFailsIsFollowedByPreStopHooksInReverse(t *testing.T) {
	for scenario, logged := range map[string]string{
		"PreStart refuses":                `plugin \"p2\": PreStartHook: refused`,
		"PreStart panics":                 `plugin \"p2\": PreStartHook: panic: boom`,
		"PreStart hangs past its timeout": `plugin \"p2\": PreStartHook: abandoned: no answer within 50ms`,
	} {
		t.Run(scenario, func(t *testing.T) {
			t.Parallel()
			launch(t, scenario).ends(1, "+p1 +p2 -p2 -p1", "cannot start", logged)
		})
	}
}

func TestAnOptionalPluginThatFailsLeavesTheDaemonDegraded(t *testing.T) {
	t.Parallel()
	launch(t, "optional PreStart refuses").await("ready").signal(syscall.SIGTERM).
		ends(0, allStarted+allStopped, "running degraded", `plugin \"p2\": PreStartHook: refused`)
}

func TestAPreStopHookThatFailsDoesNotKeepTheOthersFromStopping(t *testing.T) {
	for scenario, logged := range map[string]string{
		"PreStop refuses": `plugin \"p2\": PreStopHook: refused`,
		"PreStop panics":  `plugin \"p2\": PreStopHook: panic: boom`,
		"PreStop hangs":   `plugin \"p2\": PreStopHook: abandoned: no answer within 50ms`,
	} {
		t.Run(scenario, func(t *testing.T) {
			t.Parallel()
			launch(t, scenario).await("ready").signal(syscall.SIGTERM).ends(1, allStarted+allStopped, logged)
		})
	}
}

func TestAPluginsOwnTimeoutDecidesAboutItsHooks(t *testing.T) {
	t.Parallel()
	launch(t, "a plugin is slower than the lifecycle's timeout").await("ready").signal(syscall.SIGTERM).
		ends(0, allStarted+allStopped)
}

func TestAConstructorThatFailsStartsNothing(t *testing.T) {
	for scenario, logged := range map[string]string{"constructor refuses": "refused", "constructor panics": "boom"} {
		t.Run(scenario, func(t *testing.T) {
			t.Parallel()
			launch(t, scenario).ends(1, "", "cannot assemble the daemon", logged)
		})
	}
}

func TestAFatalErrorStopsTheDaemonInOrder(t *testing.T) {
	t.Run("when it runs", func(t *testing.T) {
		t.Parallel()
		launch(t, "fatal error").await("ready").reply().
			ends(1, "+p1 +p2 +p3 +store +engine +api +odd ready -odd "+allStopped, "cannot go on", "refused")
	})
	t.Run("when it starts", func(t *testing.T) {
		t.Parallel()
		launch(t, "fatal error while starting").
			ends(1, "+p1 +p2 +p3 +store +engine +api +odd "+allStopped, "cannot start", "refused")
	})
}

func TestAStatusThatWasAskedForSurvivesAFailingStop(t *testing.T) {
	t.Parallel()
	launch(t, "shutdown with status 7 and a refusing stop").await("ready").reply().
		ends(7, allStarted+allStopped, "(*component).Stop: refused")
}

func TestAModuleMayAskForTheEndWhileTheDaemonStarts(t *testing.T) {
	t.Parallel()
	launch(t, "shutdown while starting").ends(7, allStarted+allStopped)
}

func TestThePidFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "run", "pid")
	p := launch(t, "pid file", "PIDFILE="+file).await("ready")
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Equal(t, strconv.Itoa(p.cmd.Process.Pid), strings.TrimSpace(string(content)))

	launch(t, "pid file", "PIDFILE="+file).ends(1, "", "names process "+strconv.Itoa(p.cmd.Process.Pid)+", which is running")

	p.signal(syscall.SIGTERM).ends(0, "+store +engine +api ready -api -engine -store")
	assert.NoFileExists(t, file)
}

func TestAPidFileThatADeadProcessLeftIsReplaced(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "pid")
	dead := launch(t, "constructor refuses")
	dead.ends(1, "")
	require.NoError(t, os.WriteFile(file, []byte(strconv.Itoa(dead.cmd.Process.Pid)), 0o644))
	launch(t, "pid file", "PIDFILE="+file).await("ready").signal(syscall.SIGTERM).
		ends(0, "+store +engine +api ready -api -engine -store")
}
