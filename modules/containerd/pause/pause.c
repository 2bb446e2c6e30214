// Pause is the first process of a pod's sandbox. It holds the pod's namespaces
// and, where the pod shares its processes, reaps those that nobody waits for.
// SIGTERM and SIGINT end it.
//
// Every pod has one, so it is as small as can be: no libc, no heap, a few
// pages. All signals are blocked and taken one by one; unlike one with the
// default action, a blocked signal reaches process 1, too.

#include <asm/signal.h>
#include <asm/unistd.h>
#include <linux/wait.h>

static long syscall4(long number, long a, long b, long c, long d)
{
#if defined(__x86_64__)
	register long r10 __asm__("r10") = d;
	long result;
	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10)
			 : "rcx", "r11", "memory");
	return result;
#elif defined(__aarch64__)
	register long x8 __asm__("x8") = number;
	register long x0 __asm__("x0") = a;
	register long x1 __asm__("x1") = b;
	register long x2 __asm__("x2") = c;
	register long x3 __asm__("x3") = d;
	__asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
	return x0;
#else
#error "pause: add how this architecture calls the kernel"
#endif
}

__attribute__((noreturn)) void _start(void)
{
	unsigned long all = ~0UL;
	long received;

	syscall4(__NR_rt_sigprocmask, SIG_BLOCK, (long)&all, 0, sizeof all);
	do {
		while (syscall4(__NR_wait4, -1, 0, WNOHANG, 0) > 0)
			;
		received = syscall4(__NR_rt_sigtimedwait, (long)&all, 0, 0, sizeof all);
	} while (received != SIGTERM && received != SIGINT);
	for (;;)
		syscall4(__NR_exit_group, 0, 0, 0, 0);
}
