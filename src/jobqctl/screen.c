/*
 * jobqctl/screen.c: the terminal: its size, its colours, and the alternate screen of --watch.
 *
 * While it is drawn on, the terminal is without echo and line discipline; every way out but SIGKILL restores it: q, INT,
 * TERM, HUP, and TSTP, which restores, stops, and takes the screen again when continued. Handlers only set a flag; signals
 * are blocked but in ppoll, so none is lost between a look at the flag and the wait.
 */
#include "config.h"

#include "jobqctl/screen.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

static volatile sig_atomic_t quit, suspend;
static struct termios before;
static bool keys; /* stdin is a terminal: we read it */
static sigset_t old_mask;

static const int signals[] = {SIGINT, SIGTERM, SIGHUP, SIGTSTP, SIGWINCH};
#define NSIGNALS (sizeof signals / sizeof *signals)
static struct sigaction old_actions[NSIGNALS];

bool screen_is_tty(void)
{
	return isatty(STDOUT_FILENO) == 1;
}

bool screen_color(void)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	return screen_is_tty() && (no == NULL || no[0] == '\0') && (term == NULL || strcmp(term, "dumb") != 0);
}

static struct winsize size(void)
{
	struct winsize ws = {.ws_col = 80, .ws_row = 24};

	if (!screen_is_tty() || ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) != 0 || ws.ws_col == 0 || ws.ws_row == 0)
		ws = (struct winsize){.ws_col = 80, .ws_row = 24};
	return ws;
}

size_t screen_width(void)
{
	return size().ws_col;
}

static void on_signal(int number)
{
	if (number == SIGTSTP)
		suspend = 1;
	else if (number != SIGWINCH)
		quit = 1;
}

static void enter(void)
{
	if (keys) {
		struct termios raw = before;
		raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
		raw.c_cc[VMIN] = 0;
		raw.c_cc[VTIME] = 0;
		(void)tcsetattr(STDIN_FILENO, TCSANOW, &raw); /* without it keys need Enter: no reason to fail */
	}
	fputs("\033[?1049h\033[?25l", stdout);
	(void)fflush(stdout); /* screen_draw sees a stdout that is gone */
}

static void leave(void)
{
	fputs("\033[?25h\033[?1049l", stdout);
	(void)fflush(stdout);
	if (keys)
		(void)tcsetattr(STDIN_FILENO, TCSANOW, &before);
}

int screen_begin(void)
{
	struct sigaction action = {.sa_handler = on_signal};
	sigset_t mask;

	if (sigemptyset(&mask) != 0 || sigemptyset(&action.sa_mask) != 0)
		return -1;
	for (size_t i = 0; i < NSIGNALS; i++)
		if (sigaddset(&mask, signals[i]) != 0)
			return -1;
	if (sigprocmask(SIG_BLOCK, &mask, &old_mask) != 0)
		return -1;
	for (size_t i = 0; i < NSIGNALS; i++)
		if (sigaction(signals[i], &action, &old_actions[i]) != 0)
			return -1;
	keys = isatty(STDIN_FILENO) == 1 && tcgetattr(STDIN_FILENO, &before) == 0;
	enter();
	return 0;
}

int screen_draw(const char *text)
{
	size_t rows = size().ws_row;

	fputs("\033[H", stdout);
	for (size_t row = 0; row < rows && *text != '\0'; row++) {
		size_t len = strcspn(text, "\n");
		fprintf(stdout, "%s%.*s\033[K", row > 0 ? "\r\n" : "", (int)len, text);
		text += len + (text[len] == '\n');
	}
	fputs("\033[J", stdout);
	return fflush(stdout) == 0 && !ferror(stdout) ? 0 : -1;
}

static void stop_and_go_on(void)
{
	suspend = 0;
	leave();
	if (raise(SIGSTOP) == 0) /* the shell has us now; from here on we were continued */
		enter();
}

bool screen_wait(int ms)
{
	struct timespec timeout = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L};
	struct pollfd pfd = {.fd = keys ? STDIN_FILENO : -1, .events = POLLIN};
	char key[32];
	int rc = ppoll(&pfd, 1, &timeout, &old_mask);

	if (rc > 0) {
		ssize_t n = read(STDIN_FILENO, key, sizeof key);
		if (n <= 0 || memchr(key, 'q', (size_t)n) != NULL || memchr(key, 'Q', (size_t)n) != NULL)
			return false;
	}
	if (suspend != 0)
		stop_and_go_on();
	return quit == 0;
}

void screen_end(void)
{
	leave();
	for (size_t i = 0; i < NSIGNALS; i++)
		(void)sigaction(signals[i], &old_actions[i], NULL); /* what worked one way works the other */
	(void)sigprocmask(SIG_SETMASK, &old_mask, NULL);
}
