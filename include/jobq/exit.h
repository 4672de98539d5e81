/* jobq/exit.h: exit codes, declared in tbl/exits.def. A child that leaves with one of 2, 3, 5, 6, 7 is not restarted at once. */
#ifndef JOBQ_EXIT_H
#define JOBQ_EXIT_H
#define EXIT_X(name, code, help) JOBQ_EXIT_##name = (code),
enum jobq_exit {
#include "tbl/exits.def"
};
#undef EXIT_X
#endif
