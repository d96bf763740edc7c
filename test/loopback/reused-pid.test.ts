import { execFile, spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { leaveOut } from '../support/skip-reason.js'

const fixture = (name: string) => fileURLToPath(new URL(`fixtures/${name}`, import.meta.url))
const isolated = ['-pf', '--mount-proc']

const hasPidNamespaces = spawnSync('unshare', [...isolated, 'true']).status === 0
if (!hasPidNamespaces) leaveOut('no PID namespace to be had (unshare -pf --mount-proc)')

it.runIf(hasPidNamespaces)(
  'is EPERM for a borrowed socket whose process may no longer be asked, and closed if its pid was reused',
  async () => {
    const command = ['python3', '-B', fixture('reused-pid.py'), process.execPath, fixture('reused-pid.mjs')]
    const { stdout } = await promisify(execFile)('unshare', [...isolated, ...command])
    expect(JSON.parse(stdout)).toEqual(['alive', 'EPERM', 'ERR_SOCKET_CLOSED for EPERM'])
  },
)
