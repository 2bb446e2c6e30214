package sidecars

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"golang.org/x/sys/unix"
)

// daemonRole makes the test's program a daemon that is there to be killed: its
// helper is the script in the variable.
const daemonRole = "SIDECARS_TEST_DAEMON"

func TestMain(m *testing.M) {
	if script := os.Getenv(daemonRole); script != "" {
		p, _ := New(Params{Config: Config{Helpers: []Helper{sh("left", script)}}, Log: zap.NewNop()})
		fmt.Println(p.PreStartHook())
		select {}
	}
	goleak.VerifyTestMain(m)
}

func sh(name, script string) Helper {
	return Helper{Name: name, Command: []string{"/bin/sh", "-c", script}, Env: map[string]string{"PATH": "/bin:/usr/bin"}}
}

// start makes a plugin that is stopped at the end, and calls PreStartHook.
func start(t *testing.T, helpers ...Helper) (*Plugin, *observer.ObservedLogs, error) {
	t.Helper()
	require.NoError(t, Config{Helpers: helpers}.Validate())
	for _, h := range helpers {
		require.NoError(t, h.Validate())
	}
	core, logs := observer.New(zap.InfoLevel)
	p, err := New(Params{Config: Config{Helpers: helpers}, Log: zap.New(core)})
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, p.PreStopHook(), "a second stop has nothing to do") })
	return p, logs, p.PreStartHook()
}

func gone(t *testing.T, pid int) {
	t.Helper()
	require.Eventually(t, func() bool {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		return err != nil || strings.Contains(string(stat), ") Z ") // of whoever is to reap it
	}, 10*time.Second, 5*time.Millisecond, "process %d", pid)
}

func number(t *testing.T, file string) (n int) {
	t.Helper()
	require.Eventually(t, func() bool {
		text, _ := os.ReadFile(file)
		var err error
		n, err = strconv.Atoi(strings.TrimSpace(string(text)))
		return err == nil
	}, 10*time.Second, 5*time.Millisecond, file)
	return n
}

func TestHelpersStartInOrderAndStopInReverse(t *testing.T) {
	dir := t.TempDir()
	story := filepath.Join(dir, "story")
	tell := func(name string) Helper {
		h := sh(name, fmt.Sprintf(`trap 'echo end %[1]s >>%[2]s; exit' TERM; echo begin %[1]s >>%[2]s; : >%[3]s/%[1]s; while :; do sleep 0.01; done`, name, story, dir))
		h.Ready.File = filepath.Join(dir, name)
		return h
	}
	p, _, err := start(t, tell("one"), tell("two"), tell("three"))
	require.NoError(t, err)
	require.NoError(t, p.PreStopHook())
	text, err := os.ReadFile(story)
	require.NoError(t, err)
	assert.Equal(t, "begin one\nbegin two\nbegin three\nend three\nend two\nend one\n", string(text))
}

func TestAHelperIsReadyWhenItsConditionHolds(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	dir := t.TempDir()
	old := filepath.Join(dir, "old")
	require.NoError(t, os.WriteFile(old, nil, 0o600))
	require.NoError(t, os.Chtimes(old, time.Unix(1, 0), time.Unix(1, 0)))
	for about, r := range map[string]Ready{
		"port":          {Port: uint16(l.Addr().(*net.TCPAddr).Port)},
		"probe":         {Probe: []string{"/bin/sh", "-c", "test -e $FILE"}},
		"new file":      {File: filepath.Join(dir, "new")},
		"written again": {File: old},
		"nothing":       {},
	} {
		h := sh("h", `sleep 0.1; : >"$FILE"; exec sleep 1000`)
		h.Env["FILE"] = filepath.Join(dir, "flag")
		if r.File != "" {
			h.Env["FILE"] = r.File
		}
		h.Ready = r
		p, logs, err := start(t, h)
		require.NoError(t, err, about)
		assert.Equal(t, 1, logs.FilterMessage("helper is ready").Len(), about)
		if r.File != "" || r.Probe != nil {
			assert.FileExists(t, h.Env["FILE"], about)
		}
		require.NoError(t, p.PreStopHook(), about)
	}
}

func TestAHelperThatIsNeverReadyLeavesNoneBehind(t *testing.T) {
	dir := t.TempDir()
	first := sh("first", `echo $$ >`+dir+`/first; exec sleep 1000`)
	first.Ready.File = dir + "/first"
	for about, r := range map[string]Ready{
		"no such file or directory":                           {File: dir + "/never"},
		"connection refused":                                  {Port: 1},
		`the probe says no: exit status 3; it said "not yet"`: {Probe: []string{"/bin/sh", "-c", "echo not yet; exit 3"}},
		"it was not asked yet":                                {Probe: []string{"/bin/sh", "-c", "sleep 1000"}},
	} {
		r.Within = 300 * time.Millisecond
		second := sh("second", `echo $$ >`+dir+`/second; echo waiting for the moon; exec sleep 1000`)
		second.Ready = r
		_, _, err := start(t, first, second)
		require.ErrorContains(t, err, `helper "second" was not ready within 300ms: `)
		assert.ErrorContains(t, err, about)
		assert.ErrorContains(t, err, `it said "waiting for the moon"`)
		gone(t, number(t, dir+"/first"))
		gone(t, number(t, dir+"/second"))
	}
}

func TestAHelperThatDiesAtOnceFailsTheStart(t *testing.T) {
	_, _, err := start(t, sh("h", "echo no such config >&2; exit 7"))
	assert.EqualError(t, err, `helper "h" ended before it was ready: exit status 7; it said "no such config"`)
	_, _, err = start(t, sh("h", "exit 0"))
	assert.EqualError(t, err, `helper "h" ended before it was ready: exit status 0; it said nothing`)
	_, _, err = start(t, Helper{Name: "h", Command: []string{"/nosuch/program"}})
	assert.ErrorContains(t, err, `helper "h" ended before it was ready: cannot start it: fork/exec /nosuch/program: no such file or directory`)
}

func TestAHelperThatEndsIsStartedAgain(t *testing.T) {
	dir := t.TempDir()
	h := sh("h", `echo x >>`+dir+`/count; : >`+dir+`/ready; sleep 0.15; exit 4`)
	h.Ready.File = dir + "/ready"
	h.Restart = Restart{First: time.Millisecond, Most: 8 * time.Millisecond}
	p, logs, err := start(t, h)
	require.NoError(t, err)
	again := func() []observer.LoggedEntry { return logs.FilterMessage("helper ended: it is started again").All() }
	require.Eventually(t, func() bool { return len(again()) >= 3 }, 20*time.Second, 5*time.Millisecond)
	require.NoError(t, p.PreStopHook())
	assert.Equal(t, "exit status 4", again()[0].ContextMap()["error"])
	count, err := os.ReadFile(dir + "/count")
	require.NoError(t, err)
	assert.GreaterOrEqual(t, strings.Count(string(count), "x"), 3)
	before := len(count)
	count, err = os.ReadFile(dir + "/count")
	require.NoError(t, err)
	assert.Len(t, count, before, "nothing is started after the stop")
}

func TestTheDelayGrowsForAHelperThatKeepsEnding(t *testing.T) {
	dir := t.TempDir()
	h := sh("h", `test -e `+dir+`/ready && exit 1; : >`+dir+`/ready; sleep 0.1`)
	h.Ready.File = dir + "/ready"
	h.Restart = Restart{First: 20 * time.Millisecond, Most: 10 * time.Second}
	_, logs, err := start(t, h)
	require.NoError(t, err)
	var delays []any
	require.Eventually(t, func() bool {
		delays = nil
		for _, e := range logs.FilterMessage("helper ended: it is started again").All() {
			delays = append(delays, e.ContextMap()["delay"])
		}
		return len(delays) >= 4
	}, 10*time.Second, 5*time.Millisecond)
	assert.Equal(t, []any{20 * time.Millisecond, 40 * time.Millisecond, 80 * time.Millisecond, 160 * time.Millisecond}, delays[:4])
}

func TestAHelperThatIgnoresSIGTERMIsKilledWithItsGroup(t *testing.T) {
	dir := t.TempDir()
	h := sh("deaf", `trap "" TERM; echo I stay; (while :; do sleep 1; done) & echo $! >`+dir+`/child; echo $$ >`+dir+`/pid; while :; do sleep 1; done`)
	h.Ready.File, h.Grace = dir+"/pid", 50*time.Millisecond
	p, _, err := start(t, h)
	require.NoError(t, err)
	pid, child := number(t, dir+"/pid"), number(t, dir+"/child")
	err = p.PreStopHook()
	assert.ErrorContains(t, err, `helper "deaf" did not end within 50ms of SIGTERM and was killed; it said "I stay"`)
	gone(t, pid)
	gone(t, child)
}

func TestWhatALeaderLeavesOfItsGroupIsKilled(t *testing.T) {
	dir := t.TempDir()
	h := sh("h", `sleep 1000 & echo $! >`+dir+`/child; exec sleep 1000`)
	h.Ready.File = dir + "/child"
	p, _, err := start(t, h)
	require.NoError(t, err)
	child := number(t, dir+"/child")
	require.NoError(t, p.PreStopHook())
	gone(t, child)
}

func TestAStopInTheMiddleOfAStartEndsIt(t *testing.T) {
	dir := t.TempDir()
	h := sh("slow", `echo $$ >`+dir+`/pid; exec sleep 1000`)
	h.Ready = Ready{File: dir + "/never", Within: time.Hour}
	p, err := New(Params{Config: Config{Helpers: []Helper{h, sh("next", ": >"+dir+"/next; exec sleep 1000")}}, Log: zap.NewNop()})
	require.NoError(t, err)
	started := make(chan error)
	go func() { started <- p.PreStartHook() }()
	pid := number(t, dir+"/pid")
	require.NoError(t, p.PreStopHook())
	assert.ErrorContains(t, <-started, `helper "slow": the daemon stops before it is ready`)
	gone(t, pid)
	assert.NoFileExists(t, dir+"/next")

	late, err := New(Params{Config: Config{Helpers: []Helper{h}}, Log: zap.NewNop()})
	require.NoError(t, err)
	require.NoError(t, late.PreStopHook(), "without a start")
}

func TestAHelperSeesItsOwnEnvironmentAlone(t *testing.T) {
	t.Setenv("SECRET_OF_THE_DAEMON", "x")
	h := Helper{Name: "h", Command: []string{"/bin/sh", "-c", `/usr/bin/env; pwd; exec /bin/sleep 1000`}, Env: map[string]string{"B": "2", "A": "1"}}
	p, logs, err := start(t, h)
	require.NoError(t, err)
	require.NoError(t, p.PreStopHook())
	var said []string
	for _, e := range logs.FilterMessage("helper says").All() {
		assert.Equal(t, "h", e.ContextMap()["helper"])
		said = append(said, e.ContextMap()["line"].(string))
	}
	assert.Subset(t, said, []string{"A=1", "B=2", "/"})
	assert.NotContains(t, strings.Join(said, "\n"), "SECRET")
}

// A daemon is killed whose helper has a child in a session of its own: the
// kernel kills the helper, the next start what the helper has left.
func TestHelpersDoNotOutliveAKilledDaemon(t *testing.T) {
	dir := t.TempDir()
	script := `setsid sh -c 'echo $$ >` + dir + `/child; exec sleep 1000' & echo $$ >` + dir + `/pid; exec sleep 1000`
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), daemonRole+"="+script)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "<nil>\n", line)
	pid, child := number(t, dir+"/pid"), number(t, dir+"/child")

	p, logs, err := start(t, sh("left", "exec sleep 1000"))
	require.NoError(t, err)
	assert.Zero(t, logs.FilterMessageSnippet("earlier daemon").Len(), "that daemon lives")
	require.NoError(t, p.PreStopHook())
	require.NoError(t, unix.Kill(child, 0))

	require.NoError(t, cmd.Process.Signal(syscall.SIGKILL))
	_ = cmd.Wait()
	gone(t, pid)
	require.NoError(t, unix.Kill(child, 0), "the kernel does not know of it")

	p, logs, err = start(t, sh("other", "exec sleep 1000"))
	require.NoError(t, err)
	require.NoError(t, p.PreStopHook())
	assert.Zero(t, logs.FilterMessageSnippet("earlier daemon").Len(), "another helper's is left alone")
	require.NoError(t, unix.Kill(child, 0))

	p, logs, err = start(t, sh("left", "exec sleep 1000"))
	require.NoError(t, err)
	require.NoError(t, p.PreStopHook())
	assert.Equal(t, 1, logs.FilterMessageSnippet("earlier daemon").Len())
	gone(t, child)
}
