// Package migrated has no code. In the folders below it are plugins that were
// written for PouchContainer and moved as docs/migrating.md says; testdata has
// them as they were. The test of this package shows that nothing else was
// changed, that of e2e runs a daemon with them.
package migrated
