// What OpenCL C and CUDA C call differently.
#ifdef __CUDACC_RTC__
typedef unsigned uint;
typedef unsigned long long ulong;
#define KERNEL extern "C" __global__
#define FUNCTION __device__
#define TABLE __constant__
#define CONSTANT const
#define GLOBAL
#define INDEX (blockIdx.x * blockDim.x + threadIdx.x)
#define MUL_HI(a, b) __umul64hi(a, b)
#define INCREMENT(counter) atomicAdd(counter, 1u)
#else
#define KERNEL __kernel
#define FUNCTION
#define TABLE __constant
#define CONSTANT __constant
#define GLOBAL __global
#define INDEX get_global_id(0)
#define MUL_HI(a, b) mul_hi(a, b)
#define INCREMENT(counter) atomic_inc(counter)
#endif

