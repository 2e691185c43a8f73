/** How full the memory is that a worker's processes share. One implementation: the kernel's control group (`memory-gauge.cgroup.ts`). */
export interface MemoryGauge {
  /** Used share of the limit, from 0 on; what the kernel can take back at once (cached files) is not used. Undefined: there is no limit. */
  usedShare(): Promise<number | undefined>;
  /** Bytes in memory of all processes of a process group; 0 when it is gone. */
  groupBytes(group: number): Promise<number>;
}
