package testcontainers

import (
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"github.com/testcontainers/testcontainers-go"
	"github.com/testcontainers/testcontainers-go/network"
)

// forgetful says to a child of the tests which label to use for what it makes.
const forgetful = "FORGETFUL_TEST"

// A program that ends without cleaning up leaves its containers and networks
// to the reaper.
func TestTheReaperRemovesWhatWasForgotten(t *testing.T) {
	if os.Getenv("TESTCONTAINERS_RYUK_DISABLED") == "true" {
		t.Skip("there is no image of the reaper")
	}
	label := "forgotten=" + time.Now().Format("150405.000000")
	cmd := exec.Command("/proc/self/exe", "-test.run", "^TestForget$", "-test.v")
	cmd.Env = append(os.Environ(), forgetful+"="+label,
		"TESTCONTAINERS_SESSION_ID="+strings.Replace(label, "=", "-", 1), "RYUK_RECONNECTION_TIMEOUT=1s")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)

	api, err := testcontainers.NewDockerClientWithOpts(limited(t))
	require.NoError(t, err)
	defer api.Close()
	filters := client.Filters{}.Add("label", label)
	assert.EventuallyWithT(t, func(c *assert.CollectT) {
		containers, err := api.ContainerList(limited(t), client.ContainerListOptions{All: true, Filters: filters})
		require.NoError(c, err)
		networks, err := api.NetworkList(limited(t), client.NetworkListOptions{Filters: filters})
		require.NoError(c, err)
		assert.Empty(c, containers.Items)
		assert.Empty(c, networks.Items)
	}, 40*time.Second, 200*time.Millisecond)
}

// TestForget is the program that does not clean up.
func TestForget(t *testing.T) {
	key, value, found := strings.Cut(os.Getenv(forgetful), "=")
	if !found {
		t.Skip("it is another test that needs this one")
	}
	labels := map[string]string{key: value}
	n, err := network.New(limited(t), network.WithLabels(labels))
	require.NoError(t, err)
	_, err = testcontainers.Run(limited(t), image, testcontainers.WithCmd("sleep", "1000"),
		testcontainers.WithLabels(labels), network.WithNetwork([]string{"forgotten"}, n))
	require.NoError(t, err)
}
