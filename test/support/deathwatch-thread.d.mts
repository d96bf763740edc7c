export function deathwatchThreads(): number
export function deathwatchThreadIds(): string[]
export function noDeathwatchThread(): Promise<void>
