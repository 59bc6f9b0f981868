/** Kubernetes' quantities: `500m`, `1.5`, `64Mi`, `1e3`, `2G` (API reference, "Quantity"). */

const FACTORS: Readonly<Record<string, number>> = {
  n: 1e-9,
  u: 1e-6,
  m: 1e-3,
  "": 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
  E: 1e18,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
  Ei: 2 ** 60,
};

/** The number; undefined for what is no quantity, or less than nothing. */
export function parseQuantity(text: string): number | undefined {
  const match = /^\+?(\d+\.?\d*|\.\d+)(?:([eE][-+]?\d{1,3})|(n|u|m|k|M|G|T|P|E|Ki|Mi|Gi|Ti|Pi|Ei))?$/.exec(
    text,
  );
  if (!match) return undefined;
  const value = Number(`${match[1]}${match[2] ?? ""}`) * FACTORS[match[3] ?? ""]!;
  return Number.isFinite(value) ? value : undefined;
}

/** Bytes as people write them: `100Mi`; the number itself where no unit fits. */
export function bytesText(bytes: number): string {
  for (const unit of ["Ti", "Gi", "Mi", "Ki"])
    if (bytes > 0 && bytes % FACTORS[unit]! === 0) return `${bytes / FACTORS[unit]!}${unit}`;
  return String(bytes);
}

/** Processors: `2`, `500m`. */
export const cpusText = (cpus: number): string =>
  Number.isInteger(cpus) ? String(cpus) : `${Math.round(cpus * 1000)}m`;
