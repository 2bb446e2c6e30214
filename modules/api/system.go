package api

import (
	"context"
	"io"
	"net/http"
	"runtime"
	"strconv"

	"github.com/moby/moby/api/types/system"

	"github.com/pouchfx/pouchfx/modules/build"
	"github.com/pouchfx/pouchfx/types"
)

// systemHandlers serve what is about the daemon as a whole.
type systemHandlers struct{ params Params }

func (h *systemHandlers) routes() []*types.HandlerSpec {
	return []*types.HandlerSpec{
		types.NewHandlerSpec("HEAD", "/_ping", h.ping),
		types.NewHandlerSpec("GET", "/_ping", h.ping),
		types.NewHandlerSpec("GET", "/version", h.version),
		types.NewHandlerSpec("GET", "/info", h.info),
		types.NewHandlerSpec("GET", "/system/df", h.diskUsage),
	}
}

// ping answers at once: clients learn from its headers what the daemon
// speaks.
func (h *systemHandlers) ping(_ context.Context, w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Cache-Control", "no-cache, no-store, must-revalidate")
	w.Header().Set("Pragma", "no-cache")
	w.Header().Set("Builder-Version", "1")
	w.Header().Set("Swarm", "inactive")
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	if r.Method == http.MethodHead {
		w.Header().Set("Content-Length", "0")
		return nil
	}
	_, err := io.WriteString(w, "OK")
	return err
}

func (h *systemHandlers) version(ctx context.Context, w http.ResponseWriter, _ *http.Request) error {
	info, machine := build.Read(), inspectHost()
	v := system.VersionResponse{
		Platform: system.PlatformInfo{Name: "pouchfx"},
		Version:  info.Version, APIVersion: maxVersion.String(), MinAPIVersion: minVersion.String(),
		Os: runtime.GOOS, Arch: runtime.GOARCH, GoVersion: runtime.Version(), KernelVersion: machine.Kernel,
		GitCommit: info.Revision, BuildTime: info.Time,
	}
	v.Components = []system.ComponentVersion{{
		Name: "Engine", Version: v.Version,
		Details: map[string]string{
			"ApiVersion": v.APIVersion, "MinAPIVersion": v.MinAPIVersion, "GitCommit": v.GitCommit, "GoVersion": v.GoVersion,
			"Os": v.Os, "Arch": v.Arch, "KernelVersion": v.KernelVersion, "BuildTime": v.BuildTime, "Experimental": strconv.FormatBool(false),
		},
	}}
	engine, err := h.params.Engine.Versions(ctx)
	if err != nil {
		h.params.Log.Warn("engine does not tell its version: " + err.Error())
		return writeJSON(w, http.StatusOK, v)
	}
	v.Components = append(v.Components,
		system.ComponentVersion{Name: "containerd", Version: engine.Containerd, Details: map[string]string{"GitCommit": engine.ContainerdRevision}},
		system.ComponentVersion{Name: "runc", Version: engine.Runc, Details: map[string]string{"GitCommit": engine.RuncCommit}},
	)
	return writeJSON(w, http.StatusOK, v)
}
