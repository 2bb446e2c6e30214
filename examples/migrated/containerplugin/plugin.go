// Package containerplugin serves an old orchestrator that passes limits in the
// environment.
package containerplugin

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/ioutil"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	networktypes "github.com/pouchfx/pouchfx/networktypes"
	hookplugins "github.com/pouchfx/pouchfx/plugins/hookplugins"
	mgr "github.com/pouchfx/pouchfx/types"
	types "github.com/pouchfx/pouchfx/types"
)

type contPlugin struct{}

func init() {
	hookplugins.RegisterContainerPlugin(&contPlugin{})
}

func getEnv(env []string, key string) string {
	for _, kv := range env {
		if arr := strings.SplitN(kv, "=", 2); len(arr) == 2 && arr[0] == key {
			return arr[1]
		}
	}
	return ""
}

// PreCreate converts variables and labels to what the daemon understands.
func (c *contPlugin) PreCreate(createConfig *types.ContainerCreateConfig) error {
	if createConfig.HostConfig == nil {
		createConfig.HostConfig = &types.HostConfig{}
	}
	if createConfig.HostConfig.NetworkMode == "default" || createConfig.HostConfig.NetworkMode == "" {
		createConfig.HostConfig.NetworkMode = "bridge"
	}
	if createConfig.NetworkingConfig == nil {
		createConfig.NetworkingConfig = &types.NetworkingConfig{}
	}
	if createConfig.NetworkingConfig.EndpointsConfig == nil {
		createConfig.NetworkingConfig.EndpointsConfig = make(map[string]*types.EndpointSettings)
	}

	if limit := getEnv(createConfig.Env, "MEMORY_LIMIT"); limit != "" {
		memory, err := strconv.ParseInt(limit, 10, 64)
		if err != nil {
			return fmt.Errorf("-e MEMORY_LIMIT=%s is invalid", limit)
		}
		createConfig.HostConfig.Memory = memory
	}
	if createConfig.HostConfig.ShmSize == 0 && createConfig.HostConfig.Memory > 0 {
		half := createConfig.HostConfig.Memory / 2
		createConfig.HostConfig.ShmSize = half
	}
	createConfig.HostConfig.CapAdd = append(createConfig.HostConfig.CapAdd, "SYS_PTRACE")

	if createConfig.SpecAnnotation == nil {
		createConfig.SpecAnnotation = make(map[string]string)
	}
	for k, v := range createConfig.Labels {
		if strings.HasPrefix(k, "annotation.") {
			createConfig.SpecAnnotation[strings.TrimPrefix(k, "annotation.")] = v
		}
	}
	return nil
}

// PreStart tells the container what it is and runs a hook before the network
// is there.
func (c *contPlugin) PreStart(config interface{}) ([]int, [][]string, error) {
	container, ok := config.(*mgr.Container)
	if !ok {
		return nil, nil, fmt.Errorf("config is not a Container, it is a %T", config)
	}
	if container.Config == nil || container.HostConfig == nil || container.NetworkSettings == nil {
		return nil, nil, fmt.Errorf("container %s is not complete", container.ID)
	}
	for _, m := range container.Mounts {
		if m.Destination == "/forbidden" {
			return nil, nil, fmt.Errorf("%s must not be mounted over", m.Destination)
		}
	}
	container.Config.Env = append(container.Config.Env,
		"CONTAINER_NAME="+strings.TrimPrefix(container.Name, "/"), "CONTAINER_ID="+container.ID,
		"CONTAINER_ROOT="+container.BaseFS, fmt.Sprintf("CONTAINER_NETWORKS=%d", len(container.NetworkSettings.Networks)))
	return []int{100}, [][]string{{"/bin/sh", "sh", "-c", "cat > /dev/null"}}, nil
}

// PreCreateEndpoint passes parameters to the network plugin.
func (c *contPlugin) PreCreateEndpoint(cid string, env []string, endpoint *networktypes.Endpoint) error {
	genericParam := make(map[string]interface{})
	for _, oneEnv := range env {
		arr := strings.SplitN(oneEnv, "=", 2)
		if len(arr) == 2 && strings.HasPrefix(arr[0], "net_") {
			genericParam[arr[0]] = arr[1]
		}
	}
	endpoint.Priority = 10
	endpoint.DisableResolver = getEnv(env, "NO_RESOLVER") == "true"
	endpoint.GenericParams = genericParam
	return nil
}

// PreUpdate accepts a limit in the environment here, too.
func (c *contPlugin) PreUpdate(in io.ReadCloser) (io.ReadCloser, error) {
	inputBuffer, err := ioutil.ReadAll(in)
	if err != nil {
		return nil, err
	}
	updateConfig := map[string]interface{}{}
	if err := json.NewDecoder(bytes.NewReader(inputBuffer)).Decode(&updateConfig); err != nil {
		return nil, err
	}
	env, _ := updateConfig["Env"].([]interface{})
	for _, kv := range env {
		if limit := getEnv([]string{fmt.Sprint(kv)}, "MEMORY_LIMIT"); limit != "" {
			updateConfig["Memory"] = json.Number(limit)
		}
	}
	var out bytes.Buffer
	if err := json.NewEncoder(&out).Encode(updateConfig); err != nil {
		return nil, err
	}
	return ioutil.NopCloser(&out), nil
}

// PostUpdate writes the environment where the programs of the container read it.
func (c *contPlugin) PostUpdate(rootfs string, env []string) error {
	if _, err := os.Stat(rootfs); err != nil {
		return nil
	}
	var str string
	for _, kv := range env {
		if arr := strings.SplitN(kv, "=", 2); len(arr) == 2 {
			str += fmt.Sprintf("export %s=%q\n", arr[0], arr[1])
		}
	}
	return ioutil.WriteFile(filepath.Join(rootfs, "tmp", "env.sh"), []byte(str), 0755)
}
