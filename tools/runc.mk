# runc, built from its Go module, static, as the daemon's binary carries it.
# With libseccomp's headers it can confine system calls; where they are not
# there, apt installs them when it may.

ASSETS := modules/containerd/assets
RUNC   := bin/assets/runc

.PHONY: assets
assets: $(ASSETS)/runc.zst

$(ASSETS)/runc.zst: $(RUNC) tools/pack/main.go
	cd tools && go run ./pack ../$(RUNC) ../$(ASSETS)/runc

$(RUNC): tools/go.mod tools/go.sum tools/build-runc
	tools/build-runc $@
