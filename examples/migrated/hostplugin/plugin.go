// Package hostplugin keeps a helper beside the daemon and gives volumes the
// labels that the helper looks for.
package hostplugin

import (
	"context"
	"io/ioutil"
	"os"

	hookplugins "github.com/pouchfx/pouchfx/plugins/hookplugins"
	types "github.com/pouchfx/pouchfx/types"

	containerd "github.com/containerd/containerd/v2/client"
)

var helperFile = "/run/acme-helper"

func init() {
	if f := os.Getenv("ACME_HELPER"); f != "" {
		helperFile = f
	}
	hookplugins.RegisterDaemonPlugin(&daemonPlugin{})
	hookplugins.RegisterVolumePlugin(&volumePlugin{})
	hookplugins.RegisterImagePlugin(&imagePlugin{})
}

type daemonPlugin struct{}

// PreStartHook is invoked by pouch daemon before real start.
func (d *daemonPlugin) PreStartHook() error {
	return ioutil.WriteFile(helperFile, []byte("started\n"), 0644)
}

// PreStopHook is invoked by pouch daemon before daemon process exit.
func (d *daemonPlugin) PreStopHook() error {
	return ioutil.WriteFile(helperFile, []byte("stopped\n"), 0644)
}

type volumePlugin struct{}

// PreVolumeCreate adds a label.
func (v *volumePlugin) PreVolumeCreate(createConfig *types.VolumeCreateConfig) error {
	if createConfig.Labels == nil {
		createConfig.Labels = map[string]string{}
	}
	createConfig.Labels["helper"] = helperFile
	return nil
}

type imagePlugin struct{}

// PostPull notes what was pulled.
func (i *imagePlugin) PostPull(ctx context.Context, snapshotter string, image containerd.Image) error {
	return ioutil.WriteFile(helperFile, []byte(snapshotter+" "+image.Name()+"\n"), 0644)
}
