"""Operations on a study beside running it: forecast, doctor, status, comparison, export, publication."""
