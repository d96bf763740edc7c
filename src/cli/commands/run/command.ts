import { Command, Option } from 'commander'
import { mustBe } from '../../lib/invalid-argument.js'
import { profileArgument } from '../../lib/profile-argument.js'
import { run } from '../../lib/run.js'
import type { RunOptions } from './run.js'

export const command = new Command('run')
  .description(
    'start a program and tune all its TCP connections, including those of child processes and threads',
  )
  .argument('<command...>', 'the program and its arguments')
  .passThroughOptions()
  .option(
    '--profile <profile>',
    'a preset: lan, datacenter, cloud, …; initialDelay/interval/count as 60s/5s/3; or JSON; default: cloud',
    checkProfileText,
  )
  .option(
    '--path <hops>',
    'hops from the client to the server as aws-nlb,linux-conntrack (deadpeer hops lists them): the default is then the profile that plan computes for them',
  )
  .option('--rules <rules>', 'other profiles by port or host: 5432=datacenter,*.internal=lan,22=off')
  .addOption(
    new Option(
      '--watch [report]',
      'destroy connections whose peer is dead; report: write a warning instead',
    ).argParser(checkReport),
  )
  .addHelpText(
    'after',
    `
Adds deadpeer/register to NODE_OPTIONS and sets DEADPEER_PROFILE, DEADPEER_PATH, DEADPEER_RULES and DEADPEER_WATCH, which docs/guide.md explains.
Options that you do not give are taken from the environment. Programs that do not run on Node are not affected.

  deadpeer run -- node app.js
  deadpeer run --profile datacenter --watch=report -- npm start
  deadpeer run --path aws-global-accelerator,aws-alb -- node app.js
  deadpeer run --rules 5432=datacenter,10.0.0.0/8=lan -- node --enable-source-maps app.js

Exit code: the program's own; 2 for a bad option; 126 if the program cannot be started, 127 if it is not found.`,
  )
  .action((program: string[], options: RunOptions) =>
    run(async () => (await import('./run.js')).runCommand(program, options)),
  )

/** The text goes to DEADPEER_PROFILE, which may also be JSON. */
function checkProfileText(text: string): string {
  if (!text.startsWith('{')) profileArgument(text)
  return text
}

/** `--watch node app.js` would take the program for the option's value. */
function checkReport(text: string): 'report' {
  if (text === 'report') return text
  throw mustBe('given without a value or as --watch=report, with -- before the program')
}
