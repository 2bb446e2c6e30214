package lifecycle

// Fatal ends the daemon in order, with status 1 and err as the reason. It is
// for a module without which the daemon is of no use and which has failed
// after its start. Only the first call counts. It does not block and may be
// called from any goroutine.
type Fatal func(err error)
