package logging

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/containerd/log"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"google.golang.org/grpc/grpclog"

	"github.com/pouchfx/pouchfx/modules/config"
)

func logger(t *testing.T, level, format string) (*zap.Logger, *bytes.Buffer) {
	t.Helper()
	c := config.Default()
	c.LogLevel, c.LogFormat = level, format
	out := new(bytes.Buffer)
	l, err := build(&c, zapcore.AddSync(out))
	require.NoError(t, err)
	return l, out
}

func TestJSONLinesCarryFields(t *testing.T) {
	l, out := logger(t, "info", "json")
	l.Debug("not said")
	l.Error("container died", zap.String("container", "c1"), zap.Error(errors.New("boom")))
	var line map[string]any
	require.NoError(t, json.Unmarshal(out.Bytes(), &line), out.String())
	assert.Equal(t, "container died", line["msg"])
	assert.Equal(t, "c1", line["container"])
	assert.Equal(t, "boom", line["error"])
	assert.NotContains(t, line, "stacktrace")
}

func TestTextIsOneLinePerEvent(t *testing.T) {
	l, out := logger(t, "debug", "text")
	l.Named("store").Info("open", zap.String("path", "/x"))
	assert.Equal(t, 1, strings.Count(out.String(), "\n"))
	assert.Contains(t, out.String(), `INFO  store  open  {"path": "/x"}`)
}

func TestUnknownSettingsAreRefused(t *testing.T) {
	_, err := New(&config.Config{LogLevel: "loud", LogFormat: "text"})
	assert.ErrorContains(t, err, `log-level "loud"`)
	_, err = New(&config.Config{LogLevel: "info", LogFormat: "xml"})
	assert.ErrorContains(t, err, `log-format "xml"`)
}

func TestLibrariesLogThroughIt(t *testing.T) {
	for _, test := range []struct {
		level string
		debug bool
	}{{"info", false}, {"debug", true}, {"info", false}} {
		l, out := logger(t, test.level, "json")
		Containerd(l)
		ctx := context.Background()
		log.G(ctx).WithField("id", "c1").WithError(errors.New("boom")).Warn("cannot clean up")
		log.G(ctx).WithError(errors.New("file already closed")).Error("copy shim log")
		log.G(ctx).Debug("chatter")
		grpclog.Warning("no connection")
		grpclog.Info("connection changed its state")
		text := out.String()
		assert.Contains(t, text, `"logger":"containerd","msg":"cannot clean up"`)
		assert.Contains(t, text, `"id":"c1"`)
		assert.Contains(t, text, `boom`)
		assert.Equal(t, test.debug, strings.Contains(text, `"logger":"grpc","msg":"no connection"`))
		assert.NotContains(t, text, "copy shim log")
		assert.NotContains(t, text, "changed its state")
		assert.NotContains(t, text, "stacktrace")
		assert.Equal(t, test.debug, strings.Contains(text, "chatter"))
	}
}
