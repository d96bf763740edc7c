import { readFileSync } from 'node:fs'

const CAP_SYS_PTRACE = 19n

/** Whether this process may see the open descriptors of every process. */
export function hasSysPtrace(): boolean {
  const [, effective = '0'] = /^CapEff:\s+(\w+)/m.exec(readFileSync('/proc/self/status', 'latin1')) ?? []
  return ((BigInt(`0x${effective}`) >> CAP_SYS_PTRACE) & 1n) === 1n
}
