SELECT number, copy FROM rejected WHERE copy IS NOT NULL ORDER BY number
