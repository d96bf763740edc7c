export function deathwatchThreads(): number
