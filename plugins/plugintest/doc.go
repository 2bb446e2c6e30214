// Package plugintest is the kit with which anyone tests a plugin. Run holds it
// against the contract of the hooks:
//
//	func TestThePluginKeepsTheContract(t *testing.T) {
//		plugintest.Run(t, quota.Module)
//	}
//
// It takes the plugin as a daemon gets it, its Module and not its constructor:
// so its name, its defaults, its section of the configuration and its policy
// are tested along. A constructor becomes one with plugins.Provide.
//
// What the hooks get is made up, and is exported for tests of the plugin's own
// (CreateConfig, Container, Image, …). Daemon starts a whole daemon with
// plugins in it, for tests from end to end; those need root.
package plugintest
