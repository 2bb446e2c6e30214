package mapping

const (
	podHasIt     = "it belongs to the pod, which exists already"
	kubeletHasIt = "it is kubelet's to decide"
	engineHasIt  = "it is containerd's to decide"
	notLinux     = "it is not for Linux"
)

// reasons say why a field cannot be carried, where there is more to say than
// that CRI lacks it.
var reasons = map[string]string{
	"Hostname": podHasIt, "Domainname": podHasIt, "ExposedPorts": podHasIt, "NetworkDisabled": podHasIt,
	"AttachStdin": kubeletHasIt, "AttachStdout": kubeletHasIt, "AttachStderr": kubeletHasIt, "Healthcheck": kubeletHasIt,
	"StopTimeout": kubeletHasIt, "ArgsEscaped": notLinux, "Snapshotter": engineHasIt, "SpecificID": engineHasIt,
	"Volumes":    "volumes are kubelet's; add a bind to HostConfig.Mounts",
	"InitScript": "pods have init containers and postStart for that",

	"HostConfig.LogConfig": kubeletHasIt, "HostConfig.RestartPolicy": kubeletHasIt, "HostConfig.AutoRemove": kubeletHasIt,
	"HostConfig.VolumesFrom": kubeletHasIt, "HostConfig.VolumeDriver": kubeletHasIt, "HostConfig.ContainerIDFile": engineHasIt,
	"HostConfig.NetworkMode": podHasIt, "HostConfig.PidMode": podHasIt, "HostConfig.IpcMode": podHasIt, "HostConfig.UTSMode": podHasIt,
	"HostConfig.UsernsMode": podHasIt, "HostConfig.Runtime": podHasIt, "HostConfig.PortBindings": podHasIt,
	"HostConfig.PublishAllPorts": podHasIt, "HostConfig.DNS": podHasIt, "HostConfig.DNSOptions": podHasIt,
	"HostConfig.DNSSearch": podHasIt, "HostConfig.ExtraHosts": podHasIt, "HostConfig.Links": podHasIt,
	"HostConfig.CgroupnsMode": engineHasIt, "HostConfig.StorageOpt": engineHasIt, "HostConfig.Isolation": notLinux,
	"HostConfig.CPUCount": notLinux, "HostConfig.CPUPercent": notLinux, "HostConfig.IOMaximumIOps": notLinux,
	"HostConfig.IOMaximumBandwidth": notLinux,

	"NetworkingConfig.EndpointsConfig": podHasIt,

	// Of an update.
	"RestartPolicy": kubeletHasIt,
}
