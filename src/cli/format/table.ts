/** Columns as Go's tabwriter sets them for Podman: cells of 12 at least, two spaces between. */

/** Lines of the table; the last column is not filled up. */
export function table(rows: readonly (readonly string[])[]): string[] {
  const widths: number[] = [];
  for (const row of rows)
    row.slice(0, -1).forEach((cell, column) => {
      widths[column] = Math.max(widths[column] ?? 0, 12, [...cell].length + 2);
    });
  return rows.map(row =>
    row
      .map((cell, column) =>
        column < row.length - 1 ? cell.padEnd(widths[column]! + cell.length - [...cell].length) : cell,
      )
      .join(""),
  );
}
