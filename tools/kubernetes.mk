# Kubernetes' own programs, with which its tests are run: crictl, critest and
# kubelet, each built from its Go module, and a busybox for the images. They
# take long and are made only for these tests.

KUBERNETES       := tools/kubernetes
KUBERNETES_TOOLS := bin/kubernetes
KUBELET_VERSION  := v1.37.2
CRITOOLS_VERSION := v1.36.0

.PHONY: kubernetes test-kubernetes
kubernetes: $(addprefix $(KUBERNETES_TOOLS)/,crictl critest kubelet busybox)

test-kubernetes: assets kubernetes ## CRI's conformance tests and kubelet on the daemon (as root)
	$(GO) test -tags kubernetes -timeout 60m -run '^TestKubernetes' ./e2e

$(KUBERNETES_TOOLS)/crictl: $(KUBERNETES)/critools/go.mod $(KUBERNETES)/critools/go.sum
	cd $(KUBERNETES)/critools && CGO_ENABLED=0 $(GO) build -trimpath \
		-ldflags '-s -w -X sigs.k8s.io/cri-tools/pkg/version.Version=$(CRITOOLS_VERSION)' -o $(CURDIR)/$@ sigs.k8s.io/cri-tools/cmd/crictl

# It is a test of Go's.
$(KUBERNETES_TOOLS)/critest: $(KUBERNETES)/critools/go.mod $(KUBERNETES)/critools/go.sum
	cd $(KUBERNETES)/critools && CGO_ENABLED=0 $(GO) test -c -trimpath \
		-ldflags '-s -w -X sigs.k8s.io/cri-tools/pkg/version.Version=$(CRITOOLS_VERSION)' -o $(CURDIR)/$@ sigs.k8s.io/cri-tools/cmd/critest

# kubelet tells the control plane the version that its linker was told.
$(KUBERNETES_TOOLS)/kubelet: $(KUBERNETES)/kubelet/go.mod $(KUBERNETES)/kubelet/go.sum
	cd $(KUBERNETES)/kubelet && CGO_ENABLED=0 $(GO) build -trimpath \
		-ldflags '-s -w -X k8s.io/component-base/version.gitVersion=$(KUBELET_VERSION)' -o $(CURDIR)/$@ k8s.io/kubernetes/cmd/kubelet

$(KUBERNETES_TOOLS)/busybox: $(KUBERNETES)/get-busybox
	$< $@
