import { deaf } from '../../src/testing/index.js'
import { connectPair } from './connections.js'
import { leaveOut } from './skip-reason.js'

/** Whether this process may drop probes with `deaf`, which takes CAP_BPF; where not, says so once. */
export const hasProbeFilter = await tryFilter()

async function tryFilter(): Promise<boolean> {
  const { peer } = await connectPair()
  try {
    deaf(peer).restore()
    return true
  } catch (error) {
    leaveOut(`no CAP_BPF: ${(error as Error).message}`)
    return false
  }
}
