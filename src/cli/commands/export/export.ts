import { setTimeout as delay } from 'node:timers/promises'
import type { SocketEnd } from '../../../host/index.js'
import { hasSysPtrace } from '../../lib/privileges.js'
import { footnote, write } from '../../lib/terminal.js'
import { Misuse } from '../../lib/usage.js'
import { serve } from './endpoint.js'
import { type HostSample, HostView } from './host-view.js'
import { ProcessGroups, UNKNOWN } from './process-groups.js'

export interface ExportCommandOptions {
  readonly listen: SocketEnd
  readonly every: number
  readonly process?: readonly string[]
}

/** Serves the host's connections to Prometheus until it is interrupted. Also samples them between two scrapes. */
export async function exportCommand(
  { listen, every, process: names }: ExportCommandOptions,
  signal: AbortSignal,
): Promise<number> {
  await checkInstalled()
  const { scraper } = await import('./registry.js')
  const view = new HostView(new ProcessGroups(names), signal)
  const first = await view.sample()
  const url = await serve(listen, scraper(view, first), signal)
  write(`listening on ${url}`)
  reportHiddenProcesses(first)
  while (!signal.aborted) {
    // An abort ends the wait and so the loop.
    await delay(every, undefined, { signal }).catch(() => {})
    if (!signal.aborted) await view.countChanges()
  }
  return 0
}

/** prom-client is an optional peer dependency. */
async function checkInstalled(): Promise<void> {
  try {
    await import('prom-client')
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code !== 'ERR_MODULE_NOT_FOUND' || !message.includes('prom-client')) throw error
    throw new Misuse(
      'export needs prom-client: npm install prom-client, or npx -p deadpeer -p prom-client deadpeer export',
    )
  }
}

function reportHiddenProcesses({ connections }: HostSample): void {
  const sum = (of: typeof connections) => of.reduce((total, { count }) => total + count, 0)
  const hidden = sum(connections.filter(({ process }) => process === UNKNOWN))
  // With CAP_SYS_PTRACE the process is unknown only while a connection is being closed or handed over.
  if (hidden === 0 || hasSysPtrace()) return
  footnote(
    `not permitted to see the owning process of ${hidden} of ${sum(connections)} connections, exported as ${UNKNOWN}: run with CAP_SYS_PTRACE (sudo)`,
  )
}
