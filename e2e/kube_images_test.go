//go:build kubernetes

package e2e

import (
	"archive/tar"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/stretchr/testify/require"
)

// The registries that critest's images come from.
const (
	registryOfKubernetes = "registry.k8s.io"
	registryBeforeIt     = "k8s.gcr.io"
	registryOfCRITools   = "gcr.io"
)

// busybox is the image of critest's containers: busybox under the names of its
// applets, by hard links as a test that masks one of them expects it, two
// programs that Debian's lacks, and the users that the tests know.
var busybox = sync.OnceValues(func() (v1.Image, error) {
	program := filepath.Join(kubernetesTools, "busybox")
	content, err := os.ReadFile(program)
	if err != nil {
		return nil, err
	}
	applets, err := exec.Command(program, "--list").Output()
	if err != nil {
		return nil, err
	}
	l := newLayer("bin/", "etc/", "tmp/", "root/", "var/", "var/run/", "proc/", "sys/", "dev/")
	l.file("bin/busybox", 0o755, content)
	for _, applet := range strings.Fields(string(applets)) {
		if applet != "busybox" {
			l.link("bin/"+applet, "bin/busybox")
		}
	}
	l.file("bin/pgrep", 0o755, []byte("#!/bin/sh\nexec pidof \"$@\"\n"))
	l.file("bin/ipcs", 0o755, []byte("#!/bin/sh\nexec cat /proc/sysvipc/shm\n"))
	l.file("etc/passwd", 0o644, []byte("root:x:0:0:root:/root:/bin/sh\nwww-data:x:33:33:www-data:/var/www:/bin/false\n"+
		"nobody:x:65534:65534:nobody:/home:/bin/false\ndefault-user:x:1000:1000::/tmp:/bin/sh\n"))
	l.file("etc/group", 0o644, []byte("root:x:0:\nwww-data:x:33:\ndefault-user:x:1000:\ngroup-defined-in-image:x:50000:default-user\n"))
	return imageOf(l.bytes(), v1.Config{Env: []string{"PATH=/bin"}, Cmd: []string{"sh"}})
})

// serverImage is an image with a program of standin under one of its names.
func serverImage(t testing.TB, name string, mode int64, command ...string) v1.Image {
	t.Helper()
	content, err := os.ReadFile(builtKube(t).standin)
	require.NoError(t, err)
	base, err := busybox()
	require.NoError(t, err)
	l := newLayer("sbin/")
	l.file("sbin/"+name, mode, content)
	return withLayer(t, base, l.bytes(), v1.Config{Env: []string{"PATH=/sbin:/bin"}, Entrypoint: append([]string{name}, command...)})
}

// variant is busybox with one more file, so that it is another image.
func variant(t testing.TB, name string, config v1.Config) v1.Image {
	t.Helper()
	base, err := busybox()
	require.NoError(t, err)
	l := newLayer()
	l.file("etc/"+name, 0o644, []byte(name))
	config.Env, config.Cmd = []string{"PATH=/bin"}, []string{"sh"}
	return withLayer(t, base, l.bytes(), config)
}

func withLayer(t testing.TB, base v1.Image, content []byte, config v1.Config) v1.Image {
	t.Helper()
	top, err := imageOf(content, config)
	require.NoError(t, err)
	layers, err := top.Layers()
	require.NoError(t, err)
	img, err := mutate.AppendLayers(base, layers...)
	require.NoError(t, err)
	img, err = mutate.Config(img, config)
	require.NoError(t, err)
	return img
}

// kubernetesRegistry serves the images that critest and kubelet ask for, and
// writes into dir, for containerd, that all their registries are this one.
func kubernetesRegistry(t testing.TB, dir string) {
	t.Helper()
	host := loopbackRegistry(t)
	box, err := busybox()
	require.NoError(t, err)
	nginx := serverImage(t, "nginx", 0o755, "nginx: master process", "80")
	pause := serverImage(t, "pause", 0o755)
	pushed := map[string]v1.Image{
		"e2e-test-images/busybox:1.29-2":                        box,
		"e2e-test-images/busybox:unwanted":                      variant(t, "unwanted", v1.Config{}),
		"e2e-test-images/nginx:1.14-2":                          nginx,
		"e2e-test-images/httpd:2.4.39-4":                        serverImage(t, "httpd", 0o755, "80"),
		"e2e-test-images/nonewprivs:1.3":                        serverImage(t, "nonewprivs", 0o4755),
		"pause:3.10":                                            serverImage(t, "pause", 0o755, "another"),
		"pause:3.9":                                             pause,
		"k8s-staging-cri-tools/hostnet-nginx-" + runtime.GOARCH: serverImage(t, "nginx", 0o755, "12003"),
		"k8s-staging-cri-tools/test-image-latest":               variant(t, "latest", v1.Config{}),
		"k8s-staging-cri-tools/test-image-tag:test":             variant(t, "tag", v1.Config{}),
		"k8s-staging-cri-tools/test-image-tag:all":              variant(t, "all", v1.Config{}),
		"k8s-staging-cri-tools/test-image-user-uid":             variant(t, "uid", v1.Config{User: "1002"}),
		"k8s-staging-cri-tools/test-image-user-username":        variant(t, "username", v1.Config{User: "www-data"}),
		"k8s-staging-cri-tools/test-image-user-uid-group":       variant(t, "uid-group", v1.Config{User: "1003:users"}),
		"k8s-staging-cri-tools/test-image-user-username-group":  variant(t, "username-group", v1.Config{User: "www-data:users"}),
		"k8s-staging-cri-tools/test-image-predefined-group":     variant(t, "predefined-group", v1.Config{User: "1000"}),
	}
	same := variant(t, "tags", v1.Config{})
	for i := 1; i <= 3; i++ {
		pushed[fmt.Sprint("k8s-staging-cri-tools/test-image-", i)] = variant(t, fmt.Sprint(i), v1.Config{})
		pushed[fmt.Sprint("k8s-staging-cri-tools/test-image-tags:", i)] = same
	}
	for repo, img := range pushed {
		push(t, host, repo, img)
	}
	for _, name := range []string{registryOfKubernetes, registryBeforeIt, registryOfCRITools} {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, name), 0o755))
		text := fmt.Sprintf("[host.%q]\n  capabilities = [\"pull\", \"resolve\"]\n", "http://"+host)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name, "hosts.toml"), []byte(text), 0o644))
	}
}

// layer is a tar file in the making; writing to memory does not fail.
type layer struct {
	buf bytes.Buffer
	tar *tar.Writer
}

func newLayer(dirs ...string) *layer {
	l := &layer{}
	l.tar = tar.NewWriter(&l.buf)
	for _, dir := range dirs {
		mode := int64(0o755)
		if dir == "tmp/" || dir == "var/run/" {
			mode = 0o1777
		}
		l.tar.WriteHeader(&tar.Header{Name: dir, Typeflag: tar.TypeDir, Mode: mode})
	}
	return l
}

func (l *layer) file(name string, mode int64, content []byte) {
	l.tar.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: mode, Size: int64(len(content))})
	l.tar.Write(content)
}

func (l *layer) link(name, to string) {
	l.tar.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeLink, Linkname: to, Mode: 0o755})
}

func (l *layer) bytes() []byte {
	l.tar.Close()
	return l.buf.Bytes()
}
