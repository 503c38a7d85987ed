#ifndef __noreturn_is_defined
#define noreturn _Noreturn
#define __noreturn_is_defined 1
#endif
