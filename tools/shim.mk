# The shim, static, as the daemon's binary carries it. There is one for every
# container, so that it is a program of its own: what else the daemon's binary
# has in it would take memory each time.

SHIM := bin/assets/containerd-shim-runc-v2

assets: $(ASSETS)/shim.zst

$(ASSETS)/shim.zst: $(SHIM) tools/pack/main.go
	cd tools && go run ./pack ../$(SHIM) ../$(ASSETS)/shim

.PHONY: always
$(SHIM): always
	@# go knows better than make what is up to date; only other bytes are packed anew.
	$(STATIC) -buildvcs=false -tags $(LEAN),no_grpc -o $@.new ./modules/containerd/shim/containerd-shim-runc-v2
	@cmp -s $@.new $@ && rm $@.new || mv $@.new $@
