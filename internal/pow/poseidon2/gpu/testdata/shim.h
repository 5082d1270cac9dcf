// What makes C of the plain kernel in OpenCL C.
typedef unsigned uint;
typedef unsigned long ulong;
#define __kernel static
#define __constant const
#define __global
static uint global_id;
#define get_global_id(dimension) global_id
#define atomic_inc(counter) ((*(counter))++)
#define mul_hi(a, b) ((ulong)((unsigned __int128)(a) * (b) >> 64))
