import { spawnSync } from 'node:child_process'
import { program } from './deadpeer-command.js'

/** Runs a command as one pastes it into a shell, where `deadpeer` is this one. */
export function paste(command: string): { status: number | null; output: string } {
  const script = `deadpeer() { "$NODE" "$DEADPEER" "$@"; }; ${command}`
  const { status, stdout, stderr } = spawnSync('sh', ['-c', script], {
    encoding: 'utf8',
    env: { ...process.env, NODE: process.execPath, DEADPEER: program },
  })
  return { status, output: `${stdout}${stderr}` }
}
