import { Command } from 'commander'
import { run } from '../../lib/run.js'

export const command = new Command('hops')
  .description(
    'list how long load balancers, NATs and proxies keep an idle connection, what they do then, and whether keepalive probes are acknowledged',
  )
  .argument('[word]', 'part of a name or title')
  .option('--json', 'one JSON array; times in ms, null means never')
  .action((word: string | undefined, options: { json?: boolean }) =>
    run(async () => (await import('./hops.js')).hopsCommand(word, options.json === true)),
  )
