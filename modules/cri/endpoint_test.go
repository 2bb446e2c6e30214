package cri

import (
	"testing"

	"github.com/pouchfx/pouchfx/modules/containerd/containerdtest"
	"github.com/pouchfx/pouchfx/modules/networks/cnitest"
)

// TestWithAnEngine runs these with each kind of engine, which takes its time to
// start.
func TestWithAnEngine(t *testing.T) {
	tests := []struct {
		name string
		run  func(*testing.T, *fixture)
	}{
		{"hooks change what Kubernetes creates", hooksChangeWhatKubernetesCreates},
		{"what plugins did is kept with the container", whatPluginsDidIsKeptWithTheContainer},
		{"a create that upstream refuses is undone", aCreateThatUpstreamRefusesIsUndone},
		{"a hook may refuse a container", aHookMayRefuseAContainer},
		{"the daemon's own annotation is not for others", theDaemonsOwnAnnotationIsNotForOthers},
		{"requests without their parts are refused by upstream", requestsWithoutTheirPartsAreRefusedByUpstream},
		{"a start has what pre start asks for", aStartHasWhatPreStartAsksFor},
		{"a start that a hook refuses may be tried again", aStartThatAHookRefusesMayBeTriedAgain},
		{"nothing piles up from start to start", nothingPilesUpFromStartToStart},
		{"a container that is not there cannot be started", aContainerThatIsNotThereCannotBeStarted},
		{"hooks change an update", hooksChangeAnUpdate},
		{"an update of a container that does not run yet", anUpdateOfAContainerThatDoesNotRunYet},
		{"an update that a hook refuses", anUpdateThatAHookRefuses},
		{"post pull sees what Kubernetes pulls", postPullSeesWhatKubernetesPulls},
		{"a pull that a hook refuses leaves no name", aPullThatAHookRefusesLeavesNoName},
		{"upstream refuses bad pulls", upstreamRefusesBadPulls},
		{"kubelet streams", kubeletStreams},
		{"kubelet watches", kubeletWatches},
	}
	each := func(t *testing.T, f *fixture) {
		for _, test := range tests {
			t.Run(test.name, func(t *testing.T) {
				f.forget()
				test.run(t, f)
				containerdtest.RemovePods(t, f.engine)
			})
		}
	}
	t.Run("embedded", func(t *testing.T) {
		config := containerdtest.CRI(t)
		config.CRI.CNIConfDir, config.CRI.CNIBinDirs = podNetwork(t), []string{cnitest.Dir()}
		f := newFixture(t, containerdtest.Start(t, config))
		each(t, f)
		t.Run("a pod has a network", func(t *testing.T) { aPodHasANetwork(t, f) })
	})
	t.Run("external", func(t *testing.T) {
		stock, config := containerdtest.StockCRI(t)
		stock.Start(t)
		f := newFixture(t, containerdtest.Start(t, config))
		f.load(t, containerdtest.StockPause, containerdtest.Pause(t))
		each(t, f)
		t.Run("upstream goes and comes back", func(t *testing.T) { upstreamGoesAndComesBack(t, f, stock) })
	})
}
