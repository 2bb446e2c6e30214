# The CNI programs, built from their Go module, static, as the daemon's binary
# carries them: as one archive, as half of what is in the two is the same.

CNI_ASSETS := modules/networks/assets
CNI        := bin/assets/cni

assets: $(CNI_ASSETS)/cni.tar.zst

$(CNI_ASSETS)/cni.tar.zst: $(CNI).tar tools/pack/main.go
	cd tools && go run ./pack -window 4096 ../$(CNI).tar ../$(CNI_ASSETS)/cni.tar

$(CNI).tar: tools/cni/go.mod tools/cni/go.sum tools/build-cni
	tools/build-cni $(CNI)
	tar --sort=name --owner=0 --group=0 --numeric-owner --mtime=@0 --mode=755 -C $(CNI) -cf $@ bridge host-local
