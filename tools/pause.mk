# The first process of pods, of C alone, as the daemon's binary carries it.

assets: $(ASSETS)/pause

$(ASSETS)/pause: modules/containerd/pause/pause.c tools/build-pause
	tools/build-pause $@
