//go:build kubernetes

package e2e

import (
	"encoding/xml"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// notHere are the specs that cannot pass here, whichever CRI they are run on.
// All others must.
var notHere = map[string]string{
	"public image with digest should be pulled and removed":                 "it wants the bytes of an image on the internet",
	"runtime should support port mapping with host port and container port": "it takes CNI's portmap, and iptables",
	"runtime should support MaskedPaths":                                    "Debian's busybox finds ls in itself",
}

// TestKubernetesConformance runs Kubernetes' own tests of CRI on containerd's
// CRI and on ours, and demands that each spec ends alike.
func TestKubernetesConformance(t *testing.T) {
	outcome := map[string]map[string]string{}
	for _, kind := range endpoints {
		t.Run(kind, func(t *testing.T) { outcome[kind] = conformance(t, newNode(t, kind)) })
	}
	for kind, specs := range outcome {
		for spec, want := range outcome["stock"] {
			assert.Equal(t, want, specs[spec], "%s: %s", kind, spec)
		}
	}
}

// conformance runs critest and returns what became of each spec: passed,
// skipped or failed.
func conformance(t *testing.T, n *node) map[string]string {
	report := filepath.Join(t.TempDir(), "report.xml")
	cmd := exec.Command(filepath.Join(kubernetesTools, "critest"), "-runtime-endpoint", n.endpoint, "-image-endpoint", n.endpoint,
		"-config", os.DevNull, "-ginkgo.junit-report", report, "-ginkgo.no-color")
	for spec := range notHere {
		cmd.Args = append(cmd.Args, "-ginkgo.skip", regexp.QuoteMeta(spec))
	}
	if focus := os.Getenv("CRITEST_FOCUS"); focus != "" { // for those who look for a cause
		cmd.Args = append(cmd.Args, "-ginkgo.focus", focus)
	}
	cmd.Env = append(os.Environ(), "TMPDIR="+n.root)
	out, failed := cmd.CombinedOutput()
	text, err := os.ReadFile(report)
	require.NoError(t, err, "%v\n%s", failed, out)
	var suite struct {
		Specs []struct {
			Name    string `xml:"name,attr"`
			Status  string `xml:"status,attr"`
			Failure struct {
				Message string `xml:"message,attr"`
			} `xml:"failure"`
			Log string `xml:"system-err"`
		} `xml:"testsuite>testcase"`
	}
	require.NoError(t, xml.Unmarshal(text, &suite))
	specs, count := map[string]string{}, map[string]int{}
	for _, s := range suite.Specs {
		specs[s.Name] = s.Status
		count[s.Status]++
		if s.Status != "passed" && s.Status != "skipped" {
			t.Errorf("%s %s\n%s\n%s", s.Name, s.Status, s.Failure.Message, s.Log)
		}
	}
	t.Logf("critest on %s: %v", filepath.Base(n.endpoint), count)
	require.NotZero(t, count["passed"])
	return specs
}
