package e2e

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"
)

// spec changes what is created.
type spec func(*client.ContainerCreateOptions)

func named(name string) spec { return func(o *client.ContainerCreateOptions) { o.Name = name } }

func config(f func(*container.Config)) spec {
	return func(o *client.ContainerCreateOptions) { f(o.Config) }
}

func host(f func(*container.HostConfig)) spec {
	return func(o *client.ContainerCreateOptions) { f(o.HostConfig) }
}

// create makes a container of the box image that runs a shell script, and
// removes it at the end of the test.
func (d *daemon) create(t testing.TB, script string, specs ...spec) string {
	t.Helper()
	o := client.ContainerCreateOptions{
		Config:     &container.Config{Image: "box", Cmd: []string{"sh", "-c", script}},
		HostConfig: &container.HostConfig{NetworkMode: "none"},
	}
	for _, s := range specs {
		s(&o)
	}
	res, err := d.client.ContainerCreate(testContext(t), o)
	require.NoError(t, err)
	t.Cleanup(func() {
		d.client.ContainerRemove(context.Background(), res.ID, client.ContainerRemoveOptions{Force: true, RemoveVolumes: true})
	})
	return res.ID
}

// start starts a container.
func (d *daemon) startContainer(t testing.TB, id string) {
	t.Helper()
	_, err := d.client.ContainerStart(testContext(t), id, client.ContainerStartOptions{})
	require.NoError(t, err)
}

// result is what a container left.
type result struct {
	stdout, stderr string
	code           int64
}

// run creates and starts a container, waits for its end and returns its
// output, as `docker run` would print it.
func (d *daemon) run(t testing.TB, script string, specs ...spec) result {
	t.Helper()
	id := d.create(t, script, specs...)
	wait := d.client.ContainerWait(testContext(t), id, client.ContainerWaitOptions{Condition: container.WaitConditionNextExit})
	d.startContainer(t, id)
	code := exitCode(t, wait)
	r := d.logs(t, id, client.ContainerLogsOptions{})
	r.code = code
	return r
}

func exitCode(t testing.TB, wait client.ContainerWaitResult) int64 {
	t.Helper()
	select {
	case r := <-wait.Result:
		return r.StatusCode
	case err := <-wait.Error:
		require.NoError(t, err)
	}
	return -1
}

// wait waits until a container does not run.
func (d *daemon) wait(t testing.TB, id string) int64 {
	t.Helper()
	return exitCode(t, d.client.ContainerWait(testContext(t), id, client.ContainerWaitOptions{Condition: container.WaitConditionNotRunning}))
}

// logs reads both streams of a container's log.
func (d *daemon) logs(t testing.TB, id string, o client.ContainerLogsOptions) result {
	t.Helper()
	o.ShowStdout, o.ShowStderr = true, true
	body, err := d.client.ContainerLogs(testContext(t), id, o)
	require.NoError(t, err)
	defer body.Close()
	var out, errs bytes.Buffer
	_, err = stdcopy.StdCopy(&out, &errs, body)
	require.NoError(t, err)
	return result{stdout: out.String(), stderr: errs.String()}
}

// exec runs a shell script in a running container.
func (d *daemon) exec(t testing.TB, id, script string) result {
	t.Helper()
	ctx := testContext(t)
	created, err := d.client.ExecCreate(ctx, id, client.ExecCreateOptions{AttachStdout: true, AttachStderr: true, Cmd: []string{"sh", "-c", script}})
	require.NoError(t, err)
	attached, err := d.client.ExecAttach(ctx, created.ID, client.ExecAttachOptions{})
	require.NoError(t, err)
	defer attached.Close()
	var out, errs bytes.Buffer
	_, err = stdcopy.StdCopy(&out, &errs, attached.Reader)
	require.NoError(t, err)
	info, err := d.client.ExecInspect(ctx, created.ID, client.ExecInspectOptions{})
	require.NoError(t, err)
	require.False(t, info.Running, "an exec has ended when its stream has")
	return result{out.String(), errs.String(), int64(info.ExitCode)}
}

func (d *daemon) inspect(t testing.TB, id string) container.InspectResponse {
	t.Helper()
	res, err := d.client.ContainerInspect(testContext(t), id, client.ContainerInspectOptions{})
	require.NoError(t, err)
	return res.Container
}

// testContext bounds what one step of a test may take.
func testContext(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	t.Cleanup(cancel)
	return ctx
}

func lines(s string) []string { return strings.Split(strings.TrimSpace(s), "\n") }
