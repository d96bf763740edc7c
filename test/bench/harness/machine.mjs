import os from 'node:os'

/** What the figures depend on. The load: what else was running at the start. */
export const machine = {
  cpu: os.cpus()[0]?.model ?? 'unknown',
  cores: os.availableParallelism(),
  kernel: `${os.type()} ${os.release()}`,
  node: process.version,
  load: os.loadavg()[0],
}

export function machineLine() {
  const { cpu, cores, kernel, node, load } = machine
  return `${cpu}, ${cores} cores, ${kernel}, Node ${node}; load before the run ${load.toFixed(1)}`
}
