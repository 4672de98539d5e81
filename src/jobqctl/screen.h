/* jobqctl/screen.h: what stdout is, and drawing on it again and again. */
#ifndef JOBQ_JOBQCTL_SCREEN_H
#define JOBQ_JOBQCTL_SCREEN_H

#include <stdbool.h>
#include <stddef.h>

bool screen_is_tty(void);
bool screen_color(void);   /* a terminal, without NO_COLOR and not TERM=dumb */
size_t screen_width(void); /* columns of the terminal; 80 when stdout is none */

/* The alternate screen. Between begin and end only screen_draw writes to stdout. */
int screen_begin(void);                     /* -1 with errno: signals or terminal cannot be set */
int screen_draw(const char *text);          /* as many lines as fit; -1 when stdout is gone */
bool screen_wait(int ms);                   /* false: q, Ctrl-C, TERM or HUP; returns early when the window changes */
void screen_end(void);                      /* everything as it was before */

#endif
