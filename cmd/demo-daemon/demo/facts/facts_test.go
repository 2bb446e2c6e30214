package facts

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestGatherSeesTheEnvironmentAndNoFilesThatAreNotThere(t *testing.T) {
	t.Setenv("MEMORY_LIMIT", "64MiB")
	f := Gather("")
	assert.Contains(t, f.Env, "MEMORY_LIMIT=64MiB")
	assert.Empty(t, f.StartNote)
	assert.Empty(t, f.UpdateNote)
	assert.Empty(t, f.Named)
}

func TestTheGatewayIsTheOneOfTheDefaultRoute(t *testing.T) {
	assert.Equal(t, "eth1", gateway("Iface\tDestination\tGateway\neth0\t0000110A\t00000000\neth1\t00000000\t010011AC\n"))
	assert.Empty(t, gateway("Iface\tDestination\tGateway\n"))
}
